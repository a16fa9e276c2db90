//! Compiles the health protocol, and keeps its descriptors for reflection.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).open_file("grpc/health/v1/health.proto")?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("health.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().btree_map(".").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
