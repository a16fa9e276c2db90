//! Something that is made from files, and made anew when they change.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{certificate::Validity, expiry::Expiry, files};
use crate::Error;

/// What is in force now. Dropped, the files are looked at no more.
pub(super) struct Watched<T> {
    current: watch::Receiver<Arc<T>>,
    _end: DropGuard,
}

/// How it is made.
pub(super) struct Source<T> {
    pub role: &'static str,
    pub paths: Vec<PathBuf>,
    pub interval: Duration,
    pub load: Box<dyn Fn() -> Result<Loaded<T>, Error> + Send + Sync>,
}

/// What was made, and how long its certificate is good where it has one.
pub(super) struct Loaded<T> {
    pub value: T,
    pub validity: Option<Validity>,
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Makes it, and looks at the files from now on. To be called within a tokio runtime.
    pub(super) fn start(source: Source<T>) -> Result<Self, Error> {
        // Before they are read: a change in between is seen by the next look.
        let seen = files::fingerprint(&source.paths);
        let Loaded { value, validity } = (source.load)()?;
        let (sender, current) = watch::channel(Arc::new(value));
        let end = CancellationToken::new();
        let renewing = renew(Arc::new(source), seen, validity, sender);
        tokio::spawn(end.clone().run_until_cancelled_owned(renewing));
        Ok(Self { current, _end: end.drop_guard() })
    }

    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.borrow())
    }
}

async fn renew<T: Send + Sync + 'static>(
    source: Arc<Source<T>>,
    mut seen: u64,
    mut validity: Option<Validity>,
    sender: watch::Sender<Arc<T>>,
) {
    let mut expiry = Expiry::of(source.role);
    loop {
        if let Some(validity) = validity {
            expiry.tell(validity, SystemTime::now());
        }
        sleep(source.interval).await;
        let looking = Arc::clone(&source);
        let looked = spawn_blocking(move || {
            let now = files::fingerprint(&looking.paths);
            (now, (now != seen).then(|| (looking.load)()))
        });
        // It fails only where the runtime ends.
        let Ok((now, loaded)) = looked.await else { return };
        seen = now;
        match loaded {
            None => {}
            Some(Ok(loaded)) => {
                validity = loaded.validity;
                expiry.renewed();
                sender.send_replace(Arc::new(loaded.value));
                tracing::info!(tls.role = source.role, "the files for TLS were renewed");
            }
            // Half of a renewal, perhaps: the rest of it is another change.
            Some(Err(error)) => {
                tracing::warn!(tls.role = source.role, error.message = %error, "the renewed files for TLS are of no use, the former ones stay in force");
            }
        }
    }
}
