//! All that the guard does to a call whose token it has seen before: what a
//! call takes behind it, less what the same call takes without it.

use std::cell::Cell;

use countersign_guard::{enter, enter_list, enter_public};
use countersign_types::UserId;
use tonic::{Request, Status};
use tower::{Layer as _, Service as _, service_fn};

use crate::{
    at_most,
    clock::in_turn,
    stage::{ADMINS, AGED, ANYBODY, FRESH, Get, LISTED, OPEN, OWNED, Stage, TENANT},
    told,
};

/// Ids that are called about in turn, where every decision is to be made anew:
/// more than the guard remembers of a token.
const MANY: usize = 64;
const COUNT: u32 = 2_000;

pub fn measure() {
    let stage = Stage::new(500);
    for (name, rpc) in [
        ("evaluated: a policy that reads nothing", ANYBODY),
        ("evaluated: a role", ADMINS),
        ("evaluated: the owner of the resource", OWNED),
        ("evaluated: owner or role, within the tenant", TENANT),
        ("evaluated: owner and age of the session", AGED),
    ] {
        at_most(name, engine(&stage, rpc, MANY), "us", 12.0);
    }
    told("denied: owner, but for a step-up", engine(&stage, FRESH, MANY), "us");
    told("list: owner or role, within the tenant", engine(&stage, LISTED, MANY), "us");

    for (name, rpc) in [
        ("remembered: a role", ADMINS),
        ("remembered: owner or role, within the tenant", TENANT),
        ("remembered: owner and age of the session", AGED),
    ] {
        at_most(name, engine(&stage, rpc, 1), "us", 1.5);
    }

    let (few, many) = (Stage::new(10), Stage::new(10_000));
    let ratio = engine(&many, OWNED, MANY) / engine(&few, OWNED, MANY);
    at_most("evaluated: 10000 policies / 10", ratio, "x", 1.3);
}

/// Microseconds of the guard in a call of an RPC, about so many resources in turn.
pub fn engine(stage: &Stage, rpc: &'static str, resources: usize) -> f64 {
    let bearer = stage.bearer();
    let ids: Vec<_> = (0..resources).map(|_| UserId::generate().to_string()).collect();
    let next = Cell::new(0);
    let request = || {
        next.set((next.get() + 1) % ids.len());
        http::Request::post(format!("http://bench/{rpc}"))
            .header("authorization", &bearer)
            .body(Get { id: ids.get(next.get()).cloned().unwrap() })
            .unwrap()
    };
    let mut guarded = stage.guard.layer().layer(service_fn(async |request: http::Request<Get>| {
        handle(rpc, Request::from_http(request)).await.map(http::Response::new)
    }));
    let mut bare = service_fn(async |request: http::Request<Get>| {
        let message = Request::from_http(request).into_inner();
        Ok::<_, Status>(http::Response::new(message.id))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [guarded, bare] = in_turn(
        COUNT,
        [
            &mut || {
                let answer = runtime.block_on(guarded.call(request()));
                assert_eq!(answer.is_ok_and(|answer| !answer.body().is_empty()), rpc != FRESH);
            },
            &mut || assert!(!runtime.block_on(bare.call(request())).unwrap().body().is_empty()),
        ],
    );
    guarded - bare
}

/// As it is generated, with a handler that answers what it was asked.
async fn handle(rpc: &str, request: Request<Get>) -> Result<String, Status> {
    match rpc {
        OPEN => enter_public(request).await.map(|call| call.message.id),
        LISTED => enter_list(request).await.map(|call| call.message.id),
        _ => enter(request, |message: &Get| message.id.as_str()).await.map(|call| call.message.id),
    }
}
