//! The page of a run or study that goes on, served to this machine alone.
//!
//! Whoever has the address, which holds a token, may look: there is nothing to do but read the page. Nothing of the training
//! waits for a client: the server reads what lies in the directory, on a thread of its own, and as seldom as keeps it below a
//! hundredth of one processor.

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;

use crate::data::hex;
use crate::fault::{Blame, Fault};

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Making the page takes one in so many parts of the time at the most.
const SHARE: u32 = 100;

/// What making the page is taken to cost before anybody knows.
const COST: Duration = Duration::from_millis(20);

/// Pages that are open at a time, and connections.
const CLIENTS: usize = 16;
const CONNECTIONS: usize = 64;

/// How long an ended training waits for open pages to fetch its last one.
const GOODBYE: Duration = Duration::from_secs(3);

/// What is served.
pub struct Subject {
    /// Makes the page.
    pub page: Box<dyn Fn() -> Result<String> + Send + Sync>,
    /// A number that changes with what the page would say.
    pub version: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// What clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Changed(u64),
    Ended,
}

struct Shared {
    subject: Subject,
    /// The page as it was made last, of which news, and what that took.
    made: Mutex<Option<(News, String, Duration)>>,
    news: watch::Receiver<News>,
    clients: Arc<AtomicUsize>,
    seen: AtomicUsize,
}

/// A port of 127.0.0.1 that nobody else serves on, taken before anything is made that would be left behind without it.
pub struct LivePort(TcpListener);

impl LivePort {
    /// Takes `port`, or one that is free.
    ///
    /// # Errors
    /// A port that is in use.
    pub fn bind(port: Option<u16>) -> Result<LivePort> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        let listener = listener.with_context(|| match port {
            Some(port) => format!(
                "port {port} cannot be served on; choose another with --port, or leave --port out"
            ),
            None => "no port can be served on".to_owned(),
        });
        let listener = listener.blame(Fault::Config)?;
        listener.set_nonblocking(true)?;
        Ok(LivePort(listener))
    }
}

/// A server under way.
pub struct Live {
    address: String,
    shared: Arc<Shared>,
    news: Arc<watch::Sender<News>>,
}

impl Live {
    /// Serves `subject` on `port`.
    ///
    /// # Errors
    /// A system that gives no thread, or no chance.
    pub fn serve(subject: Subject, LivePort(listener): LivePort) -> Result<Live> {
        let port = listener.local_addr()?.port();
        let token = token()?;
        let (sender, news) = watch::channel(News::Changed(0));
        let shared = Arc::new(Shared {
            subject,
            made: Mutex::new(None),
            news,
            clients: Arc::default(),
            seen: AtomicUsize::new(0),
        });
        let news = Arc::new(sender);
        let router = Router::new()
            .route(&format!("/{token}/"), get(page))
            .route(&format!("/{token}/page"), get(page))
            .route(&format!("/{token}/events"), get(events))
            .route(&format!("/{token}/seen"), post(seen))
            .with_state(Arc::clone(&shared));
        let (watched, sender) = (Arc::clone(&shared), Arc::clone(&news));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let work = move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                    return;
                };
                tokio::spawn(watch_directory(watched, sender));
                let few = FewConnections {
                    listener,
                    free: Arc::new(Semaphore::new(CONNECTIONS)),
                };
                let _ = axum::serve(few, router).await;
            });
        };
        let thread = std::thread::Builder::new().name("live".to_owned());
        thread.spawn(work)?;
        Ok(Live {
            address: format!("http://127.0.0.1:{port}/{token}/"),
            shared,
            news,
        })
    }

    /// Where the page is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Tells open pages that this one is the last, and lets them fetch it.
    pub fn end(self, page: String) {
        let open = self.shared.clients.load(Ordering::SeqCst);
        *self
            .shared
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((News::Ended, page, Duration::ZERO));
        let _ = self.news.send(News::Ended);
        let until = Instant::now() + GOODBYE;
        while self.shared.seen.load(Ordering::SeqCst) < open && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What nobody guesses: 128 bits.
fn token() -> Result<String> {
    let mut bytes = [0; 16];
    let random =
        std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    random.context("cannot read /dev/urandom")?;
    Ok(hex(&bytes))
}

/// Tells clients when the directory has changed.
async fn watch_directory(shared: Arc<Shared>, news: Arc<watch::Sender<News>>) {
    let mut known = None;
    loop {
        let now = (shared.subject.version)();
        if known != Some(now) {
            known = Some(now);
            news.send_if_modified(|last| {
                let goes_on = *last != News::Ended;
                if goes_on {
                    *last = News::Changed(now);
                }
                goes_on
            });
        }
        let cost = shared
            .made
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map_or(COST, |(.., cost)| *cost);
        tokio::time::sleep(LOOK.max(cost * SHARE)).await;
    }
}

/// The page, made anew where there is news.
async fn page(State(shared): State<Arc<Shared>>) -> Response {
    // Other clients are answered meanwhile.
    let made = tokio::task::spawn_blocking(move || shared.page()).await;
    match made {
        Ok(Ok(page)) => {
            let headers = [
                (header::CACHE_CONTROL, "no-store"),
                (header::REFERRER_POLICY, "no-referrer"),
            ];
            (headers, Html(page)).into_response()
        }
        // A directory that is being removed, for instance.
        Ok(Err(error)) => (StatusCode::GONE, format!("{error:#}")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Shared {
    /// The page as it is to be seen now.
    fn page(&self) -> Result<String> {
        let news = *self.news.borrow();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, page, _)) = &*made
            && (*of == news || *of == News::Ended)
        {
            return Ok(page.clone());
        }
        let began = Instant::now();
        let page = (self.subject.page)()?;
        *made = Some((news, page.clone(), began.elapsed()));
        Ok(page)
    }
}

/// A listener with so few connections at a time that nobody can take the files of the training away.
struct FewConnections {
    listener: tokio::net::TcpListener,
    free: Arc<Semaphore>,
}

/// A connection that gives its place free when it ends.
struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Listener for FewConnections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = Arc::clone(&self.free).acquire_owned().await;
        let place = place.expect("nobody closes the semaphore");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let connection = Connection {
            stream,
            _place: place,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        buffer: &mut ReadBuf,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Counts an open page for as long as it is open.
struct Client(Arc<AtomicUsize>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// News as they come.
async fn events(State(shared): State<Arc<Shared>>) -> Response {
    let client = Client(Arc::clone(&shared.clients));
    if shared.clients.fetch_add(1, Ordering::SeqCst) >= CLIENTS {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open").into_response();
    }
    let news = WatchStream::new(shared.news.clone()).map(move |news| {
        let _open = &client;
        let name = match news {
            News::Changed(_) => "changed",
            News::Ended => "ended",
        };
        // A browser passes over an event without data.
        Ok::<_, Infallible>(Event::default().event(name).data(name))
    });
    Sse::new(news)
        .keep_alive(KeepAlive::default())
        .into_response()
}

/// A page has fetched the last one.
async fn seen(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.seen.fetch_add(1, Ordering::SeqCst);
    StatusCode::NO_CONTENT
}
