//! Work of a GPU as a CUDA graph: recorded once, and then handed over whole, where it would be handed over kernel by kernel.
//!
//! The C++ (`graph.cpp`) is a library of its own beside this program, opened when it is asked for: it is compiled against
//! headers of CUDA, which nothing else needs.

use std::ffi::{CStr, c_void};
use std::mem::transmute;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

use super::calls::{Message, answer};
use super::library::Library;

/// The library, beside this program.
const LIBRARY: &str = "libsignet_cuda_graphs.so";

/// What `graph.cpp` makes of a recording.
type Recording = *mut c_void;

type Begin = unsafe extern "C" fn(i64, *mut Recording) -> Message;
type Act = unsafe extern "C" fn(Recording) -> Message;
type Free = unsafe extern "C" fn(Recording);

/// The functions of the library.
struct Functions {
    begin: Begin,
    end: Act,
    replay: Act,
    free: Free,
}

/// The file of the library.
///
/// # Errors
/// It was not built.
pub fn library() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let file = program.with_file_name(LIBRARY);
    if !file.is_file() {
        bail!("there is no {LIBRARY} beside the program; scripts/cuda-graphs builds it");
    }
    Ok(file)
}

/// Opens the library, once; libtorch's library for CUDA must be open.
fn functions() -> Result<&'static Functions> {
    static OPENED: OnceLock<std::result::Result<Functions, String>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| open().map_err(|error| format!("{error:#}")));
    opened.as_ref().map_err(|reason| anyhow!("{reason}"))
}

fn open() -> Result<Functions> {
    let file = library()?;
    let anew = || {
        format!(
            "cannot use {}; scripts/cuda-graphs builds it anew",
            file.display()
        )
    };
    let library = Library::open(&file, libc::RTLD_NOW).with_context(anew)?;
    let symbol = |name: &CStr| {
        let found = library.symbol(name);
        found
            .with_context(|| format!("it lacks {}", name.to_string_lossy()))
            .with_context(anew)
    };
    // SAFETY: the library is the one that `graph.cpp` is compiled to, whose functions have these types; it is never closed.
    unsafe {
        Ok(Functions {
            begin: transmute::<*mut c_void, Begin>(symbol(c"signet_graph_begin")?),
            end: transmute::<*mut c_void, Act>(symbol(c"signet_graph_end")?),
            replay: transmute::<*mut c_void, Act>(symbol(c"signet_graph_replay")?),
            free: transmute::<*mut c_void, Free>(symbol(c"signet_graph_free")?),
        })
    }
}

/// Makes sure that graphs can be recorded, as far as can be known before one is.
///
/// # Errors
/// A library that is missing or does not fit libtorch.
pub fn available() -> Result<()> {
    functions().map(|_| ())
}

/// Recorded work. It reads and writes the tensors that it was recorded with, which must outlive it and stay where they are.
pub struct Graph {
    recording: Recording,
    functions: &'static Functions,
}

impl Graph {
    /// Records `work` on a GPU instead of doing it. It may wait for nothing, and what it makes for itself lives in the graph.
    ///
    /// # Errors
    /// A missing library, an error of `work`, or work that cannot be recorded.
    pub fn record(gpu: usize, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        let functions = functions()?;
        let mut recording: Recording = std::ptr::null_mut();
        // SAFETY: writes a recording, which `drop` frees; also where the work fails or panics.
        answer(unsafe { (functions.begin)(gpu as i64, &mut recording) })?;
        let graph = Graph {
            recording,
            functions,
        };
        work()?;
        // SAFETY: the recording was begun by this thread.
        answer(unsafe { (functions.end)(graph.recording) })?;
        Ok(graph)
    }

    /// Does the work, without waiting for it.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the recording has ended.
        answer(unsafe { (self.functions.replay)(self.recording) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { (self.functions.free)(self.recording) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_library_nothing_is_recorded_and_the_way_to_it_is_named() {
        let error = Graph::record(0, || unreachable!("nothing can be recorded"));
        let error = error.err().expect("no library lies beside the tests");
        assert!(error.to_string().contains("scripts/cuda-graphs"), "{error}");
    }
}
