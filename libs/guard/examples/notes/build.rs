//! Checks the contract and the policies, and writes the code of this crate.

fn main() -> Result<(), countersign_codegen::Error> {
    countersign_codegen::Contracts::new("proto").policies("policies").compile()
}
