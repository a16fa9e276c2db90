//! Asks a server for its health, as a client would.

use std::{io::Write, time::Duration};

use countersign_mesh::health::v1::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic::{Code, Request};

use crate::{Config, Error, Probe, calls};

/// How long an answer may take. Whoever does not answer by then does not serve.
const PATIENCE: Duration = Duration::from_secs(3);

/// Says that it serves, or fails.
pub async fn run(probe: &Probe, config: &Config, out: &mut dyn Write) -> Result<(), Error> {
    let target = probe.at.clone().unwrap_or_else(|| calls::own(&config.server));
    let channel = calls::to_probe(&target, config, PATIENCE)?;
    let mut question = Request::new(HealthCheckRequest { service: probe.service.clone() });
    question.set_timeout(PATIENCE);
    let reason = match HealthClient::new(channel).check(question).await {
        Ok(answer) => match answer.into_inner().status() {
            ServingStatus::Serving => return Ok(writeln!(out, "SERVING")?),
            status => format!("it says {}", status.as_str_name()),
        },
        Err(status) if status.code() == Code::NotFound => {
            format!("it has no service {:?}", probe.service)
        }
        Err(status) => status.message().to_owned(),
    };
    Err(Error::NotServing { target, reason })
}
