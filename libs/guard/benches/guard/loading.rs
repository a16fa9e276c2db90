//! Policies are read, checked and indexed: at the start, and at each reload.

use crate::{
    at_most,
    clock::{median, thread},
    stage,
};

const ROUNDS: usize = 7;

pub fn measure() {
    let policies = stage::policies(1_000);
    let load = || {
        let builder = stage::builder(stage::settings(), &policies, 1_000);
        let began = thread();
        assert!(builder.build().is_ok());
        (thread() - began) * 1e3
    };
    at_most("load of 1000 policies", median((0..ROUNDS).map(|_| load()).collect()), "ms", 300.0);
}
