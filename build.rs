//! Checks the contracts and writes the code of this crate.

fn main() -> Result<(), countersign_codegen::Error> {
    countersign_codegen::Contracts::new("proto").policies("proto/policies").compile()
}
