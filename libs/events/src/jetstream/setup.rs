//! The stream and its consumers as they are to be: made where they are
//! missing, compared where they are not.

use std::fmt::Debug;

use async_nats::{
    Client,
    jetstream::{
        Context, ErrorCode,
        consumer::{AckPolicy, PullConsumer, pull},
        context::{CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind},
        stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType, Stream},
    },
};

use super::{JetStreamOptions, envelope};
use crate::{Consumer, DATA_MAX, Error};

/// Copies of a stream in a cluster that has enough servers.
const CLUSTER_REPLICAS: usize = 3;

/// What differs from what is wanted.
struct Drift {
    field: &'static str,
    wanted: String,
    found: String,
}

/// Makes the stream, or checks it.
pub(super) async fn stream(
    context: &Context,
    client: &Client,
    options: &JetStreamOptions,
) -> Result<Info, Error> {
    match context.get_stream(&options.stream).await {
        Ok(found) => check_stream(context, client, options, found.cached_info().clone()).await,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                create(context, client, options).await
            }
            _ => Err(Error::broker("the stream cannot be looked up", error)),
        },
    }
}

async fn create(
    context: &Context,
    client: &Client,
    options: &JetStreamOptions,
) -> Result<Info, Error> {
    let replicas = options.replicas.unwrap_or(CLUSTER_REPLICAS);
    let info = match context.create_stream(wanted(options, replicas)).await {
        Ok(stream) => stream.cached_info().clone(),
        Err(error) if options.replicas.is_none() && too_few_servers(client, &error) => context
            .create_stream(wanted(options, 1))
            .await
            .map_err(|error| Error::broker("the stream cannot be made", error))?
            .cached_info()
            .clone(),
        Err(error) => return Err(Error::broker("the stream cannot be made", error)),
    };
    tracing::info!(
        stream = options.stream,
        replicas = info.config.num_replicas,
        "made the stream of events"
    );
    Ok(info)
}

/// Whether the cluster is too small for the copies, for good and not for a moment.
fn too_few_servers(client: &Client, error: &CreateStreamError) -> bool {
    let CreateStreamErrorKind::JetStream(answer) = error.kind() else { return false };
    match answer.error_code() {
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => true,
        ErrorCode::CLUSTER_NO_PEERS | ErrorCode::INSUFFICIENT_RESOURCES => !is_cluster(client),
        _ => false,
    }
}

fn is_cluster(client: &Client) -> bool {
    let server = client.server_info();
    server.cluster.is_some() && server.connect_urls.len() >= CLUSTER_REPLICAS
}

fn wanted(options: &JetStreamOptions, replicas: usize) -> Config {
    Config {
        name: options.stream.clone(),
        subjects: vec![options.subjects()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: options.max_age,
        duplicate_window: options.duplicate_window,
        max_message_size: message_max(),
        num_replicas: replicas,
        max_bytes: -1,
        max_messages: -1,
        ..Config::default()
    }
}

fn message_max() -> i32 {
    i32::try_from(DATA_MAX + envelope::HEADERS_MAX).unwrap_or(i32::MAX)
}

async fn check_stream(
    context: &Context,
    client: &Client,
    options: &JetStreamOptions,
    found: Info,
) -> Result<Info, Error> {
    let have = &found.config;
    let follow = if is_cluster(client) { CLUSTER_REPLICAS } else { have.num_replicas };
    let want = wanted(options, options.replicas.unwrap_or(follow.max(have.num_replicas)));
    let drifts = [
        drift("subjects", &want.subjects, &have.subjects),
        drift("retention", &want.retention, &have.retention),
        drift("storage", &want.storage, &have.storage),
        drift("discard", &want.discard, &have.discard),
        drift("max_age", &want.max_age, &have.max_age),
        drift("duplicate_window", &want.duplicate_window, &have.duplicate_window),
        drift("max_message_size", &want.max_message_size, &have.max_message_size),
        drift("replicas", &want.num_replicas, &have.num_replicas),
    ];
    if !report("stream", &options.stream, drifts) || !options.reconcile {
        return Ok(found);
    }
    // The rest of the configuration is the operator's.
    let config = Config {
        subjects: want.subjects,
        retention: want.retention,
        storage: want.storage,
        discard: want.discard,
        max_age: want.max_age,
        duplicate_window: want.duplicate_window,
        max_message_size: want.max_message_size,
        num_replicas: want.num_replicas,
        ..found.config.clone()
    };
    match context.update_stream(config).await {
        Ok(info) => {
            tracing::info!(stream = options.stream, "corrected the stream's configuration");
            Ok(info)
        }
        Err(error) => {
            tracing::warn!(
                stream = options.stream,
                error = %error,
                "the stream's configuration cannot be corrected"
            );
            Ok(found)
        }
    }
}

/// Makes the durable consumer, or checks it.
pub(super) async fn consumer(
    stream: &Stream,
    options: &JetStreamOptions,
    consumer: &Consumer,
) -> Result<PullConsumer, Error> {
    let want = wanted_consumer(options, consumer);
    let name = durable(consumer);
    let Ok(mut found) = stream.get_consumer::<pull::Config>(&name).await else {
        // Strict: what could not be looked up is not overwritten.
        return stream
            .create_consumer_strict(want)
            .await
            .map_err(|error| Error::broker("a consumer cannot be made", error));
    };
    let have = found.info().await.map_err(|error| Error::broker("a consumer is gone", error))?;
    let mut have = have.config.clone();
    let mut subjects = subjects_of(&have);
    subjects.sort();
    have.filter_subjects.clone_from(&subjects);
    let drifts = [
        drift("ack_policy", &want.ack_policy, &have.ack_policy),
        drift("ack_wait", &want.ack_wait, &have.ack_wait),
        drift("max_deliver", &want.max_deliver, &have.max_deliver),
        drift("max_ack_pending", &want.max_ack_pending, &have.max_ack_pending),
        drift("filter_subjects", &want.filter_subjects, &subjects),
    ];
    if !report("consumer", &name, drifts) {
        return Ok(found);
    }
    let missing = want.filter_subjects.iter().any(|subject| !subjects.contains(subject));
    let config = if options.reconcile {
        pull::Config { deliver_policy: have.deliver_policy, ..want }
    } else if missing {
        // A kind that this version takes and the former one did not: without
        // it the consumer would miss events, so it is no matter of taste.
        subjects.extend(want.filter_subjects);
        subjects.sort();
        subjects.dedup();
        let mut config = pull_config(have);
        config.filter_subjects = subjects;
        config
    } else {
        return Ok(found);
    };
    match stream.create_consumer(config).await {
        Ok(corrected) => {
            tracing::info!(consumer = name, "corrected the consumer's configuration");
            Ok(corrected)
        }
        Err(error) => {
            tracing::warn!(consumer = name, error = %error, "the consumer cannot be corrected");
            Ok(found)
        }
    }
}

/// The consumer's name at the broker, which all services share.
pub(super) fn durable(consumer: &Consumer) -> String {
    let name = format!("{}-{}", consumer.source(), consumer.name());
    name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_', "-")
}

fn wanted_consumer(options: &JetStreamOptions, consumer: &Consumer) -> pull::Config {
    let mut subjects: Vec<String> = consumer.kinds().map(|kind| options.of_kind(kind)).collect();
    subjects.sort();
    pull::Config {
        durable_name: Some(durable(consumer)),
        ack_policy: AckPolicy::Explicit,
        ack_wait: options.ack_wait,
        // Tries are counted in the consumer's database, which also buries.
        max_deliver: -1,
        max_ack_pending: 4096,
        filter_subjects: subjects,
        ..pull::Config::default()
    }
}

fn subjects_of(config: &async_nats::jetstream::consumer::Config) -> Vec<String> {
    let single = Some(config.filter_subject.clone()).filter(|subject| !subject.is_empty());
    config.filter_subjects.iter().cloned().chain(single).collect()
}

/// What a durable pull consumer has, with nothing of ours in it but the filter.
fn pull_config(have: async_nats::jetstream::consumer::Config) -> pull::Config {
    pull::Config {
        durable_name: have.durable_name,
        description: have.description,
        deliver_policy: have.deliver_policy,
        ack_policy: have.ack_policy,
        ack_wait: have.ack_wait,
        max_deliver: have.max_deliver,
        replay_policy: have.replay_policy,
        max_waiting: have.max_waiting,
        max_ack_pending: have.max_ack_pending,
        inactive_threshold: have.inactive_threshold,
        num_replicas: have.num_replicas,
        metadata: have.metadata,
        backoff: have.backoff,
        ..pull::Config::default()
    }
}

fn drift<T: PartialEq + Debug>(field: &'static str, wanted: &T, found: &T) -> Option<Drift> {
    (wanted != found).then(|| Drift {
        field,
        wanted: format!("{wanted:?}"),
        found: format!("{found:?}"),
    })
}

/// Tells of each difference; whether there was one.
fn report<const N: usize>(what: &'static str, name: &str, drifts: [Option<Drift>; N]) -> bool {
    let mut any = false;
    for drift in drifts.into_iter().flatten() {
        any = true;
        tracing::warn!(
            what,
            name,
            field = drift.field,
            wanted = drift.wanted,
            found = drift.found,
            "the broker is configured otherwise than this service wants"
        );
    }
    any
}
