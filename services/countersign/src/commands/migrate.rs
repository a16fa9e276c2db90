//! `countersign migrate`: brings the tables up to date. Needs neither the master
//! key nor a broker, and may run beside servers.

use std::io::{self, Write};

use countersign_mesh::{
    config::DatabaseConfig,
    database::{MigratorTrait, Progress, migrate_telling},
};

use crate::{
    Config, DataFolder, Error, Role,
    databases::{self, AUTH_FILE, USER_FILE},
};

pub(super) async fn run(
    service: Option<Role>,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let database = &config.database;
    if service != Some(Role::User) {
        one::<countersign_auth::Migrator>("auth", &database.auth, AUTH_FILE, config, out).await?;
    }
    if service != Some(Role::Auth) {
        one::<countersign_user::Migrator>("user", &database.user, USER_FILE, config, out).await?;
    }
    Ok(())
}

async fn one<M: MigratorTrait>(
    service: &'static str,
    place: &DatabaseConfig,
    file: &str,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let has_place = databases::has_place(place);
    let folder = if has_place { None } else { Some(DataFolder::join(&config.data_dir)?) };
    let db = databases::open(place, folder.as_ref(), file).await?;

    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    // A closed channel: the lines are not wanted any more, the migration is.
    let mut tell = move |progress: Progress<'_>| drop(sender.send(line(service, progress)));
    let migrating = async move { migrate_telling::<M>(&db, &mut tell).await.map(|()| db) };
    let printing = async {
        let mut count = 0;
        while let Some(line) = lines.recv().await {
            writeln!(out, "{line}")?;
            out.flush()?;
            count += 1;
        }
        Ok::<_, io::Error>(count)
    };
    let (db, printed) = tokio::join!(migrating, printing);
    databases::close(service, &db?).await;
    if printed? == 0 {
        writeln!(out, "{service}: up to date")?;
    }
    Ok(())
}

fn line(service: &str, progress: Progress<'_>) -> String {
    match progress {
        Progress::Waits(name) => format!("{service}: another process is at work on {name}"),
        Progress::Begins(name) => format!("{service}: {name} …"),
        Progress::Done(name, took) => format!("{service}: {name} done in {} ms", took.as_millis()),
    }
}
