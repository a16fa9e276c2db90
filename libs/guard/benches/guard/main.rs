//! What each step of the guard costs, against the goals of the design.
//!
//! `make bench-guard` runs it. Each line is `name value unit goal ok|short`; a
//! goal of `-` is none, and a ratio is to a baseline measured in the same run.
//! Every value is the median of several rounds, taken in turn with its baseline.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that can not be taken ends, and its table is what it is for"
)]

mod calls;
mod clock;
mod stage;

use std::time::Instant;

use countersign_guard::{Authenticate, enter};
use countersign_tokens::verify;
use tonic::{Request, service::Interceptor};
use tower::{Layer, Service, service_fn};

use crate::{
    clock::{in_turn, micros},
    stage::{ADMINS, AGED, ANYBODY, Get, OWNED, Stage},
};

/// One line of the table.
fn line(name: &str, value: f64, unit: &str, goal: Option<(&str, bool)>) {
    let (goal, met) = match goal {
        Some((goal, true)) => (goal, "ok"),
        Some((goal, false)) => (goal, "short"),
        None => ("-", "-"),
    };
    println!("{name:<44} {value:>10.2} {unit:<8} {goal:>9} {met}");
}

fn at_most(name: &str, value: f64, unit: &str, goal: f64) {
    line(name, value, unit, Some((&format!("<={goal}"), value <= goal)));
}

fn main() {
    tokens();
    decisions();
    loading();
    calls::compare();
}

/// Steps 2 and 3.
fn tokens() {
    let stage = Stage::new(500);
    let claims = stage.claims();
    let token = stage.token(&claims);
    let header = format!("Bearer {token}").parse::<tonic::metadata::MetadataValue<_>>().unwrap();
    let mut remembered = stage.guard.authenticate_only();
    let ask = |guard: &mut Authenticate| {
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", header.clone());
        assert!(guard.call(request).is_ok());
    };
    ask(&mut remembered);
    let [hit] = in_turn(20_000, [&mut || ask(&mut remembered)]);
    line("token, remembered", micros(hit), "us", None);

    // A guard that remembers nothing sees every token for the first time.
    let mut forgetful = stage.forgetful().authenticate_only();
    let bare = || assert!(verify(&token, &stage.ring, &stage.binding).is_ok());
    let [first, verified] = in_turn(500, [&mut || ask(&mut forgetful), &mut { bare }]);
    line("token, verified without a guard", micros(verified), "us", None);
    at_most("token, first sight / verified", first / verified, "x", 1.3);
}

/// Steps 4 and 5, with all that stands around them.
fn decisions() {
    let engine = |policies: usize, rpc: &'static str| {
        let stage = Stage::new(policies);
        let bearer = format!("Bearer {}", stage.token(&stage.claims()));
        let id = stage.owner.to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = || {
            http::Request::post(format!("http://bench/{rpc}"))
                .header("authorization", &bearer)
                .body(Get { id: id.clone() })
                .unwrap()
        };
        let mut guarded = stage.guard.layer().layer(service_fn(async |request| {
            let call = enter(Request::from_http(request), |message: &Get| message.id.as_str());
            call.await.map(|call| http::Response::new(call.message.id))
        }));
        let mut bare = service_fn(async |request: http::Request<Get>| {
            let message = Request::from_http(request).into_inner();
            Ok::<_, tonic::Status>(http::Response::new(message.id))
        });
        let [guarded, bare] = in_turn(
            5_000,
            [
                &mut || {
                    assert!(!runtime.block_on(guarded.call(request())).unwrap().body().is_empty())
                },
                &mut || assert!(!runtime.block_on(bare.call(request())).unwrap().body().is_empty()),
            ],
        );
        guarded - bare
    };
    for (name, rpc) in [
        ("engine, a policy that reads nothing", ANYBODY),
        ("engine, a role", ADMINS),
        ("engine, the owner of the resource", OWNED),
        ("engine, owner and age of the session", AGED),
    ] {
        at_most(name, micros(engine(500, rpc)), "us", 12.0);
    }
    let (few, many) = (engine(10, OWNED), engine(10_000, OWNED));
    at_most("engine, 10000 policies / 10", many / few, "x", 1.3);
}

fn loading() {
    let policies = stage::policies(1_000);
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let began = Instant::now();
            assert!(stage::builder(&policies, 1_000).build().is_ok());
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    at_most("load of 1000 policies", times.get(2).copied().unwrap(), "ms", 300.0);
}
