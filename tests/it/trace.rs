//! One trace from the call to what follows from it in the other service.

use countersign_contracts::auth::v1::RegisterRequest;
use countersign_tests::{PASSWORD, TestApp, Topology, email_of, on_every_topology};
use countersign_types::TraceParent;
use tonic::Request;

const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

async fn the_trace_of_a_call_goes_through_the_events_to_the_other_service(topology: Topology) {
    let app = TestApp::on(topology).await;
    for (name, sent, expected) in [
        ("ada", GIVEN, Some(GIVEN.parse::<TraceParent>().unwrap())),
        ("bob", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", None),
    ] {
        let (email, password) = (email_of(name), PASSWORD.to_owned());
        let mut request = Request::new(RegisterRequest { email, password });
        request.metadata_mut().insert("traceparent", sent.parse().unwrap());
        let registered = app.clients().auth().register(request).await.unwrap().into_inner();
        app.settle().await;
        let ledger = app.ledger().await;
        let user_id = registered.account.unwrap().id;
        for kind in ["UserCreated", "ProfileCreated"] {
            let events = ledger.events(kind).await;
            let of_user = events.iter().find(|e| e.event.aggregate.to_string() == user_id);
            assert_eq!(of_user.unwrap().event.trace, expected, "{kind} of {name}");
        }
    }
}

on_every_topology![the_trace_of_a_call_goes_through_the_events_to_the_other_service];
