//! What a process answers to Prometheus.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Process;

/// Lines as Prometheus reads them.
#[derive(Clone, Debug)]
pub struct Scrape(Vec<Sample>);

/// One series, and its value now.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name, with `_bucket`, `_sum` or `_count` where it is of a histogram.
    pub name: String,
    /// Its labels, without those that say which library has measured.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Process {
    /// A line of its log (JSON), as soon as it is there.
    pub async fn logged(&self, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let said = self.said();
            let lines = said.lines().filter_map(|line| serde_json::from_str(line).ok());
            if let Some(line) = lines.into_iter().find(&is) {
                return line;
            }
            tokio::task::yield_now().await;
        }
    }

    /// What it answers where it answers Prometheus, to a request such as
    /// `GET /metrics`: all of it, with the head.
    ///
    /// # Panics
    /// Nobody is there.
    pub async fn answer_to(&self, request: &str) -> String {
        let line = self.logged(|line| {
            line["message"].as_str().is_some_and(|text| text.contains("Prometheus"))
        });
        let line = line.await;
        let address = line["server.address"].as_str().expect("an address");
        let mut stream = TcpStream::connect(address).await.expect("somebody listens");
        let request = format!("{request} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    /// What it measures now.
    ///
    /// # Panics
    /// It does not answer as Prometheus reads it.
    pub async fn scrape(&self) -> Scrape {
        let answer = self.answer_to("GET /metrics").await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let lines = body.lines().filter(|line| line.contains('{') && !line.starts_with('#'));
        Scrape(
            lines.map(|line| sample(line).unwrap_or_else(|| panic!("no sample: {line}"))).collect(),
        )
    }
}

impl Scrape {
    /// All series.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The sum of the series of this name that have these labels, where there is one.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is = |sample: &&Sample| {
            let has = |&(key, value): &(&str, &str)| {
                sample.labels.get(key).is_some_and(|label| label == value)
            };
            sample.name == name && labels.iter().all(has)
        };
        let found: Vec<_> = self.0.iter().filter(is).map(|sample| sample.value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (name, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once("} ")?;
    let labels = labels.split("\",").map(|label| {
        let (key, value) = label.split_once("=\"")?;
        Some((key.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    let labels = labels.collect::<Option<BTreeMap<_, _>>>()?;
    let labels = labels.into_iter().filter(|(key, _)| !key.starts_with("otel_scope"));
    Some(Sample { name: name.to_owned(), labels: labels.collect(), value: value.parse().ok()? })
}
