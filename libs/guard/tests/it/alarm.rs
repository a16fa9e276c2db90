//! What the outside hears of a policy that fails: a metric and a line of the log.

use std::{
    io,
    sync::{Arc, Mutex},
};

use opentelemetry::{
    InstrumentationScope, KeyValue, global,
    metrics::{
        Counter, InstrumentBuilder, InstrumentProvider, Meter, MeterProvider, SyncInstrument,
    },
};
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{FRAGILE, World};

/// Name and labels.
type Count = (String, Vec<KeyValue>);

/// Everything that was counted.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<Vec<Count>>>);

struct One(String, Counted);

impl MeterProvider for Counted {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(self.clone()))
    }
}

impl InstrumentProvider for Counted {
    fn u64_counter(&self, builder: InstrumentBuilder<'_, Counter<u64>>) -> Counter<u64> {
        Counter::new(Arc::new(One(builder.name.into_owned(), self.clone())))
    }
}

impl SyncInstrument<u64> for One {
    fn measure(&self, _: u64, labels: &[KeyValue]) {
        self.1.0.lock().unwrap().push((self.0.clone(), labels.to_vec()));
    }
}

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_policy_that_fails_is_counted_and_logged_by_its_name() {
    let (counted, log) = (Counted::default(), Log::default());
    global::set_meter_provider(counted.clone());
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let world = World::default();
    assert!(world.call(FRAGILE, &world.token(), "").await.is_err());

    let labels =
        [KeyValue::new("policy.id", "fragile-forbid"), KeyValue::new("rpc.method", FRAGILE)];
    let counted = counted.0.lock().unwrap();
    let errors: Vec<_> =
        counted.iter().filter(|(name, _)| name == "countersign.guard.policy_errors").collect();
    assert!(errors.iter().any(|(_, counted)| counted[..] == labels), "{errors:?}");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let alarm = log.lines().find(|line| line.contains("policies failed to evaluate")).unwrap();
    assert!(alarm.contains("ERROR") && alarm.contains("fragile-forbid"), "{alarm}");
    // Not what the policy was asked about.
    assert!(!log.contains("9223372036854775807"), "{log}");
}
