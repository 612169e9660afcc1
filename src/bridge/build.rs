//! Lets the binary find libtorch by itself: its folder becomes a run path.

fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB")
        .expect("torch-sys names the folder of libtorch; run scripts/setup first");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
}
