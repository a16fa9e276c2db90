//! The memory in which Argon2id computes. What it held of a password is wiped
//! before anybody else gets it.

use argon2::Block;
use zeroize::Zeroize;

/// The blocks of one thread, kept between two hashes.
#[derive(Default)]
pub(crate) struct Memory(Vec<Block>);

impl Memory {
    /// At least `count` blocks.
    pub(crate) fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            // A vector that grows leaves what it held behind.
            self.release();
            self.0.resize(count, Block::new());
        }
        &mut self.0
    }

    /// Whether it holds none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wipes all blocks and gives them back to the system.
    pub(crate) fn release(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
        self.0 = Vec::new();
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_hash_gets_clean_memory_and_a_smaller_one_what_is_there() {
        let mut memory = Memory::default();
        let words =
            |blocks: &mut [Block]| blocks.iter_mut().map(|block| block.as_mut()[0]).sum::<u64>();
        memory.blocks(2).iter_mut().for_each(|block| block.as_mut()[0] = 1);
        assert_eq!(words(memory.blocks(1)), 2);
        assert_eq!(words(memory.blocks(3)), 0);
        memory.release();
        assert!(memory.is_empty());
    }
}
