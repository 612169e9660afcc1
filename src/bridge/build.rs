//! Compiles the bridge against libtorch's headers, and lets the binary find libtorch by itself: its
//! folder becomes a run path.

use std::path::Path;

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .expect("torch-sys names the folder of libtorch; run scripts/setup first");
    let include = Path::new(&lib).with_file_name("include");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false) // libtorch's headers have plenty
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .file("src/bridge/bridge.cpp")
        .compile("signet_bridge");
    println!("cargo:rerun-if-changed=src/bridge/bridge.cpp");
    println!("cargo:rustc-link-search=native={lib}");
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
}
