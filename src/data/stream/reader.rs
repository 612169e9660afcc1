//! Reading ahead: threads read images in the order in which they will be asked for, and wait where too many are ready.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::Result;

use super::ImageStream;
use crate::bridge::process;

/// Most bytes of images that are ready and not asked for yet.
const MOST_BYTES: usize = 32 << 20;

/// Most images that are.
const MOST_IMAGES: usize = 4096;

/// Most threads that read.
const MOST_THREADS: usize = 8;

/// Threads that read images from a pack: no more than keeps a disk busy.
const PACK_THREADS: usize = 2;

/// Images in an order that was said in advance.
#[derive(Debug)]
pub struct ReadAhead {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Queue {
    stream: Arc<ImageStream>,
    order: Vec<usize>,
    state: Mutex<State>,
    /// An image is ready.
    filled: Condvar,
    /// There is room for another one, or nobody asks any more.
    drained: Condvar,
}

/// Where the readers are in the order.
#[derive(Debug)]
struct State {
    /// What was asked for.
    asked: usize,
    /// What readers have begun with.
    begun: usize,
    /// From `asked` on, what is ready; as long as there is room.
    ready: VecDeque<Option<Result<Vec<u8>>>>,
    /// Whether nobody asks any more.
    over: bool,
}

impl ReadAhead {
    /// Begins to read images of `stream` in that `order`, each of so many bytes.
    pub fn start(stream: Arc<ImageStream>, order: Vec<usize>, bytes: usize) -> ReadAhead {
        let most = if stream.is_packed() {
            PACK_THREADS
        } else {
            MOST_THREADS
        };
        let count = process::cpus().min(most);
        let room = (MOST_BYTES / bytes.max(1)).clamp(2 * count, MOST_IMAGES);
        let queue = Arc::new(Queue {
            stream,
            order,
            state: Mutex::new(State {
                asked: 0,
                begun: 0,
                ready: (0..room).map(|_| None).collect(),
                over: false,
            }),
            filled: Condvar::new(),
            drained: Condvar::new(),
        });
        let thread = |_| {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                process::use_all_cpus();
                queue.read();
            })
        };
        ReadAhead {
            threads: (0..count).map(thread).collect(),
            queue,
        }
    }

    /// The next image; waits until it is read.
    ///
    /// # Errors
    /// Those of [`ImageStream::read`].
    ///
    /// # Panics
    /// Behind the last one.
    pub fn take(&mut self) -> Result<Vec<u8>> {
        let queue = &*self.queue;
        let mut state = queue.lock();
        assert!(
            state.asked < queue.order.len(),
            "no more images were asked for"
        );
        loop {
            if let Some(image) = state.ready[0].take() {
                state.ready.rotate_left(1);
                state.asked += 1;
                queue.drained.notify_one();
                return image;
            }
            state = queue
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.queue.lock().over = true;
        self.queue.drained.notify_all();
        for thread in self.threads.drain(..) {
            // It holds nothing that a panic could have left half done.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one image after the other that no other thread has begun with.
    fn read(&self) {
        loop {
            let place = {
                let has_room = |state: &mut State| {
                    !state.over
                        && state.begun < self.order.len()
                        && state.begun >= state.asked + state.ready.len()
                };
                let waited = self.drained.wait_while(self.lock(), has_room);
                let mut state = waited.unwrap_or_else(PoisonError::into_inner);
                if state.over || state.begun == self.order.len() {
                    return;
                }
                state.begun += 1;
                state.begun - 1
            };
            let image = self.stream.read(self.order[place]);
            let mut state = self.lock();
            let at = place - state.asked;
            state.ready[at] = Some(image);
            if at == 0 {
                self.filled.notify_one();
            }
        }
    }
}
