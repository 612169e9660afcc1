//! What is compiled against headers of CUDA, which nothing else needs: a library of its own beside this program, opened when it
//! is asked for. It holds the recording of graphs (`graph.cpp`) and processes with a GPU each (`nccl.cpp`).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::transmute;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

use super::calls::Message;
use super::library::Library;

/// The library, beside this program.
const LIBRARY: &str = "libsignet_cuda.so";

/// What `graph.cpp` makes of a recording.
pub(super) type Recording = *mut c_void;

type Begin = unsafe extern "C" fn(i64, *mut Recording) -> Message;
type Act = unsafe extern "C" fn(Recording) -> Message;
type Free = unsafe extern "C" fn(Recording);
type Join = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    c_int,
    c_int,
    i64,
    i64,
    *mut *mut c_void,
) -> Message;

/// The functions of the library.
pub(super) struct Functions {
    pub(super) graph_begin: Begin,
    pub(super) graph_end: Act,
    pub(super) graph_replay: Act,
    pub(super) graph_free: Free,
    /// Store, prefix, rank, world, GPU, patience in milliseconds; the group.
    pub(super) group_nccl: Join,
}

/// The file of the library.
///
/// # Errors
/// It was not built.
pub fn file() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let file = program.with_file_name(LIBRARY);
    if !file.is_file() {
        bail!("there is no {LIBRARY} beside the program; scripts/cuda-library builds it");
    }
    Ok(file)
}

/// Opens the library, once; libtorch's library for CUDA must be open.
///
/// # Errors
/// It is missing or does not fit libtorch.
pub(super) fn functions() -> Result<&'static Functions> {
    static OPENED: OnceLock<std::result::Result<Functions, String>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| open().map_err(|error| format!("{error:#}")));
    opened.as_ref().map_err(|reason| anyhow!("{reason}"))
}

fn open() -> Result<Functions> {
    let file = file()?;
    let anew = || {
        format!(
            "cannot use {}; scripts/cuda-library builds it anew",
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
    // SAFETY: the library is the one that `graph.cpp` and `nccl.cpp` are compiled to, whose functions have these types; it is
    // never closed.
    unsafe {
        Ok(Functions {
            graph_begin: transmute::<*mut c_void, Begin>(symbol(c"signet_graph_begin")?),
            graph_end: transmute::<*mut c_void, Act>(symbol(c"signet_graph_end")?),
            graph_replay: transmute::<*mut c_void, Act>(symbol(c"signet_graph_replay")?),
            graph_free: transmute::<*mut c_void, Free>(symbol(c"signet_graph_free")?),
            group_nccl: transmute::<*mut c_void, Join>(symbol(c"signet_group_nccl")?),
        })
    }
}
