//! Makes the folder of the built web page if it is missing, so that everything builds without Node; the
//! page then says how to build itself.

use std::{fs, io, path::Path};

/// What Vite builds, relative to the package.
const BUILT: &str = "frontend/dist";

fn main() -> io::Result<()> {
    fs::create_dir_all(Path::new(BUILT))?;
    println!("cargo::rerun-if-changed={BUILT}");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}
