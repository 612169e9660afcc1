//! Compiles the bridge against libtorch's headers, and lets the binary find libtorch by itself: its
//! folder becomes a run path.

use std::path::Path;

/// The subjects of the bridge that have C++, and what its tests call.
const SOURCES: [&str; 12] = [
    "convolutional.cpp",
    "dropout.cpp",
    "gradients.cpp",
    "guard_test.cpp",
    "libtorch.cpp",
    "pixels.cpp",
    "precision.cpp",
    "process_group.cpp",
    "recurrent.cpp",
    "update.cpp",
    "upload.cpp",
    "warp.cpp",
];

/// What those share.
const HEADERS: [&str; 14] = [
    "batch_norm.h",
    "dropout.h",
    "few_channels.h",
    "gates.h",
    "gloo_declared/gloo/algorithm.h",
    "gloo_declared/gloo/common/error.h",
    "gloo_declared/gloo/context.h",
    "gloo_declared/gloo/rendezvous/store.h",
    "gloo_declared/gloo/transport/device.h",
    "guard.h",
    "kernels.h",
    "pooling.h",
    "process_group.h",
    "upload.h",
];

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .expect("torch-sys names the folder of libtorch; run scripts/setup first");
    let include = Path::new(&lib).with_file_name("include");
    let bridge = Path::new("src/bridge");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false) // libtorch's headers have plenty
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .include(bridge.join("gloo_declared"))
        .flag_if_supported("-fopenmp") // libtorch's own threads, whose loops are templates in its headers
        .flag_if_supported("-Wno-psabi") // vectors are handed over inside of loops alone
        .flags(["-fno-trapping-math", "-fno-math-errno"]) // or no loop with a comparison becomes vectors
        .files(SOURCES.map(|source| bridge.join(source)))
        .compile("signet_bridge");
    for file in SOURCES.iter().chain(&HEADERS) {
        println!("cargo:rerun-if-changed={}", bridge.join(file).display());
    }
    println!("cargo:rustc-link-search=native={lib}");
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    if cfg!(target_os = "linux") {
        println!("cargo:rustc-link-lib=gomp"); // libtorch brings the one that is loaded
    }
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
}
