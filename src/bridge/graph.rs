//! Work of a GPU as a CUDA graph: recorded once, and then handed over whole, where it would be handed over kernel by kernel.
//! The C++ (`graph.cpp`) is in the library for CUDA (`cuda_library`).

use anyhow::Result;

use super::calls::answer;
use super::cuda_library::{self, Functions, Recording};

/// Makes sure that graphs can be recorded, as far as can be known before one is.
///
/// # Errors
/// A library that is missing or does not fit libtorch.
pub fn available() -> Result<()> {
    cuda_library::functions().map(|_| ())
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
        let functions = cuda_library::functions()?;
        let mut recording: Recording = std::ptr::null_mut();
        // SAFETY: writes a recording, which `drop` frees; also where the work fails or panics.
        answer(unsafe { (functions.graph_begin)(gpu as i64, &mut recording) })?;
        let graph = Graph {
            recording,
            functions,
        };
        work()?;
        // SAFETY: the recording was begun by this thread.
        answer(unsafe { (functions.graph_end)(graph.recording) })?;
        Ok(graph)
    }

    /// Does the work, without waiting for it.
    ///
    /// # Errors
    /// A GPU that fails.
    pub fn replay(&self) -> Result<()> {
        // SAFETY: the recording has ended.
        answer(unsafe { (self.functions.graph_replay)(self.recording) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { (self.functions.graph_free)(self.recording) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_its_library_nothing_is_recorded_and_the_way_to_it_is_named() {
        let error = Graph::record(0, || unreachable!("nothing can be recorded"));
        let error = error.err().expect("no library lies beside the tests");
        assert!(
            error.to_string().contains("scripts/cuda-library"),
            "{error}"
        );
    }
}
