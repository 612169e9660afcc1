//! ONNX Runtime: where its library lies, which version it is, and handing its functions to `ort`.
//!
//! The program is not linked against it, so that it starts, trains and exports other formats where there is none.
//! It is looked for where ORT_DYLIB_PATH says; else where `scripts/setup` puts it in the checkout that signet was
//! built in; else where the system's loader looks.

use std::ffi::{CStr, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use ort::sys::{OrtApi, OrtApiBase};

use super::library::{Library, file_of};

/// The variable that names another library, as other programs on `ort` have it.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// The oldest version 1 that has every function `ort` may call; it is the number of its interface, too.
const OLDEST: u32 = ort::MINOR_VERSION;

/// Where `scripts/setup` puts the library, a link to the file with its version in its name.
const OWN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/.onnxruntime/libonnxruntime.so"
);

/// What the system's loader is asked for: the library's name for programs, and for compilers.
const NAMES: [&str; 2] = if cfg!(target_os = "macos") {
    ["libonnxruntime.1.dylib", "libonnxruntime.dylib"]
} else {
    ["libonnxruntime.so.1", "libonnxruntime.so"]
};

const FLAGS: c_int = libc::RTLD_LAZY | libc::RTLD_LOCAL;

/// The ONNX Runtime of this process.
#[derive(Debug)]
pub struct OnnxRuntime {
    /// Where its library lies.
    pub file: PathBuf,
    /// Its version, such as `1.19.2`.
    pub version: String,
}

/// The ONNX Runtime that `ort` uses from here on. The first call opens its library, which takes some milliseconds.
///
/// # Errors
/// There is none, or not one that can be used: what was found, what is needed, and how to get it.
pub fn onnx_runtime() -> Result<&'static OnnxRuntime> {
    static FOUND: OnceLock<Result<OnnxRuntime, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    found.as_ref().map_err(|error| anyhow!("{error}"))
}

fn find() -> Result<OnnxRuntime> {
    let named = std::env::var_os(VARIABLE).filter(|named| !named.is_empty());
    let mend = if named.is_some() {
        "unset ORT_DYLIB_PATH and run scripts/setup, which installs it"
    } else {
        "run scripts/setup, which installs it"
    };
    let found = match &named {
        Some(named) => Library::open(Path::new(named), FLAGS)
            .with_context(|| format!("{VARIABLE} cannot be opened")),
        None => unnamed(),
    };
    found
        .and_then(|library| adopt(&library))
        .with_context(|| format!("ONNX files need ONNX Runtime 1.{OLDEST} or later; {mend}"))
}

/// The library where no variable names it.
fn unnamed() -> Result<Library> {
    if Path::new(OWN).exists() {
        return Library::open(Path::new(OWN), FLAGS);
    }
    let mut names = NAMES.iter();
    let found = names.find_map(|name| Library::open(Path::new(name), FLAGS).ok());
    found.with_context(|| format!("neither {OWN} nor a {} of the system is there", NAMES[0]))
}

/// Hands the functions of `library` to `ort`, if it is an ONNX Runtime that is new enough.
fn adopt(library: &Library) -> Result<OnnxRuntime> {
    let entry = library.symbol(c"OrtGetApiBase");
    let name = library.name.display();
    let entry =
        entry.with_context(|| format!("{name} is no ONNX Runtime, without OrtGetApiBase"))?;
    let file = file_of(entry).unwrap_or_default();
    let (version, api) = interface(entry);
    let version = version.unwrap_or_else(|| "of an unknown version".to_owned());
    let api = api.with_context(|| format!("{} is ONNX Runtime {version}", file.display()))?;
    ensure!(ort::set_api(api), "ort has been given another before");
    Ok(OnnxRuntime { file, version })
}

/// The version behind the entry point of an ONNX Runtime, and the functions of interface [`OLDEST`] if it has them.
fn interface(entry: *mut c_void) -> (Option<String>, Option<OrtApi>) {
    // SAFETY: that is the signature of OrtGetApiBase in every version (onnxruntime_c_api.h); what it and its two
    // functions point to is constant and lives as long as the library, which stays open.
    unsafe {
        let entry: unsafe extern "system" fn() -> *const OrtApiBase = std::mem::transmute(entry);
        let Some(base) = entry().as_ref() else {
            return (None, None);
        };
        let version = (base.GetVersionString)();
        let version =
            (!version.is_null()).then(|| CStr::from_ptr(version).to_string_lossy().into_owned());
        // An older one says on standard error that it lacks the interface, so it is not asked.
        let old = version.as_deref().is_some_and(is_too_old);
        let api = if old {
            None
        } else {
            (base.GetApi)(OLDEST).as_ref().cloned()
        };
        (version, api)
    }
}

/// Whether `version`, such as `1.19.2`, is before 1.[`OLDEST`].
fn is_too_old(version: &str) -> bool {
    let mut numbers = version
        .split('.')
        .map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (1, OLDEST)
}
