//! Which processes there are, and which wires run between them.

use std::{fmt, str::FromStr};

use countersign_seal::MasterKey;

use super::{
    super::caller::Service,
    Fleet, Place, Wire,
    member::{Member, Program},
};
use crate::{
    Clockwork, Edition, Executable, Folder, Proxy,
    engines::{Cluster, Nats, NewDatabase, Postgres, Safety, Storage},
};

/// What the processes are told, so that only faults hold anybody up, and so
/// that a session that a fault interrupts is not taken for a stolen one.
const SETTINGS: [(&str, &str); 8] = [
    ("COUNTERSIGN_AUTH__HASHING__MEMORY_KIB", "7168"),
    ("COUNTERSIGN_AUTH__HASHING__ITERATIONS", "1"),
    ("COUNTERSIGN_AUTH__THROTTLE__REGISTRATIONS_PER_MINUTE", "100000"),
    ("COUNTERSIGN_AUTH__THROTTLE__OVERALL_PER_SECOND", "100000"),
    ("COUNTERSIGN_AUTH__SESSION__ACCESS_TOKEN_LIFETIME", "1h"),
    ("COUNTERSIGN_AUTH__SESSION__GRACE_WINDOW", "1m"),
    ("COUNTERSIGN_LOG__LEVEL", "warn"),
    ("COUNTERSIGN_SERVER__DRAIN_TIMEOUT", "2s"),
];
/// Replicas of each service, where they run apart.
const REPLICAS: [&str; 2] = ["1", "2"];

/// How the system is spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Everything in one process.
    Embedded,
    /// Two replicas of each service, PostgreSQL and one broker.
    Split,
    /// The same with a broker of three nodes.
    Cluster,
}

impl Fleet {
    /// Starts everything.
    pub(in super::super) async fn start_all(layout: Layout, edition: Edition) -> Self {
        let folder = Folder::new();
        let mut fleet = match layout {
            Layout::Embedded => Self::embedded(folder).await,
            Layout::Split => {
                let nats = Nats::start_on(Storage::Own).await;
                Self::split(folder, vec![nats]).await
            }
            Layout::Cluster => {
                let cluster = Cluster::start_on(Storage::Own).await;
                Self::split(folder, cluster.nodes).await
            }
        };
        for member in fleet.servers() {
            fleet.members[member].turn_into(edition);
            fleet.start(member).await;
        }
        fleet
    }

    async fn embedded(folder: Folder) -> Self {
        let data = folder.path().join("data");
        let executable = settled(Executable::on(&data));
        let door = wire("load", "countersign", 0, Some(Service::Auth)).await;
        Self {
            members: vec![Member::server("countersign", executable.clone(), None)],
            wires: vec![door],
            sound: Vec::new(),
            operator: executable,
            place: Place::Folder(data),
            _folder: folder,
        }
    }

    async fn split(folder: Folder, brokers: Vec<Nats>) -> Self {
        let key = folder.path().join("master.key");
        MasterKey::create(&key).expect("a master key can be made");
        let postgres = Postgres::start(Safety::Written).await;
        let auth = NewDatabase::create_at(postgres.url()).await;
        let user = NewDatabase::create_at(postgres.url()).await;

        // Servers first, then the brokers, then the database: they end in this order.
        let servers = REPLICAS.len() * 2;
        let database = servers + brokers.len();
        let (mut members, mut wires) = (Vec::new(), Vec::new());
        let names = ["auth", "user"]
            .into_iter()
            .flat_map(|role| REPLICAS.map(|replica| (role, format!("{role}-{replica}"))));
        let names: Vec<_> = names.collect();
        for (at, (role, name)) in names.iter().enumerate() {
            let service = if *role == "auth" { Service::Auth } else { Service::User };
            wires.push(wire("load", name, at, Some(service)).await);
        }
        let sources = wires.iter().filter(|wire| wire.door == Some(Service::Auth));
        let sources: Vec<_> =
            sources.map(|wire| format!("http://{}", wire.proxy.address())).collect();
        let sources = sources.join(",");

        let clockwork = Clockwork::build(folder.path()).await;
        for (role, name) in &names {
            let to_database = wire(name, "postgres", database, None).await;
            to_database.proxy.lead_to(postgres.address());
            let mut urls = Vec::new();
            for (number, broker) in brokers.iter().enumerate() {
                let to_broker = wire(name, &broker_name(number), servers + number, None).await;
                to_broker.proxy.lead_to(broker.address());
                urls.push(format!("nats://{}", to_broker.proxy.address()));
                wires.push(to_broker);
            }
            let own = if *role == "auth" { &auth } else { &user };
            let variable = format!("COUNTERSIGN_DATABASE__{}__URL", role.to_uppercase());
            let executable = settled(Executable::on(&folder.path().join(name)))
                .in_role(role)
                .with(&variable, &through(&to_database, own))
                .with("COUNTERSIGN_BUS__URL", &urls.join(","))
                .with("COUNTERSIGN_KEYS__SOURCE", &sources)
                .with("COUNTERSIGN_MASTER_KEY_FILE", &key.display().to_string());
            let clock = clockwork.clock(name);
            members.push(Member::server(name, clock.before(executable), Some(clock)));
            wires.push(to_database);
        }
        for (number, broker) in brokers.into_iter().enumerate() {
            members.push(Member::new(&broker_name(number), Program::Nats(Box::new(broker))));
        }
        let sound = wire("operator", "postgres", database, None).await;
        sound.proxy.lead_to(postgres.address());
        let place = Place::Server { auth: through(&sound, &auth), user: through(&sound, &user) };
        members.push(Member::new("postgres", Program::Postgres(postgres)));
        let operator = settled(Executable::on(&folder.path().join("operator")))
            .with("COUNTERSIGN_DATABASE__AUTH__URL", &through(&sound, &auth))
            .with("COUNTERSIGN_DATABASE__USER__URL", &through(&sound, &user))
            .with("COUNTERSIGN_MASTER_KEY_FILE", &key.display().to_string());
        Self { members, wires, sound: vec![sound], operator, place, _folder: folder }
    }
}

fn settled(executable: Executable) -> Executable {
    SETTINGS.iter().fold(executable, |executable, (name, value)| executable.with(name, value))
}

fn broker_name(number: usize) -> String {
    format!("nats-{}", number + 1)
}

async fn wire(from: &str, name: &str, to: usize, door: Option<Service>) -> Wire {
    Wire { name: format!("{from} to {name}"), proxy: Proxy::start(None).await, to, door }
}

/// The URL of a database at the other end of a wire.
fn through(wire: &Wire, database: &NewDatabase) -> String {
    format!("postgres://countersign@{}/{}", wire.proxy.address(), database.name())
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Embedded, Self::Split, Self::Cluster];
        let found = all.into_iter().find(|layout| layout.to_string() == text);
        found.ok_or_else(|| format!("{text} is none of embedded, split, cluster"))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Split => "split",
            Self::Cluster => "cluster",
        })
    }
}
