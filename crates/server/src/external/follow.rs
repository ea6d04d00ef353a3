//! The one task that follows an external registry: what is new every period, what letters ask for at once, and patience while
//! it does not answer.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

use super::External;
use super::letters::{Interrupted, Waiting};
use crate::http::App;

/// How often the registry is asked what is new.
pub const PERIOD: Duration = Duration::from_secs(60);
/// How long it is left alone after it has not answered, at first; then twice as long each time, up to a period.
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// Follows until `stop` turns true.
pub async fn follow(app: App, external: External, period: Duration, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = work(&app, &external, period) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn work(app: &App, external: &External, period: Duration) {
    let mut waiting = Waiting::default();
    let mut backoff = BACKOFF_MIN;
    loop {
        let mut due = pin!(sleep(period));
        let worked = match external.take_all().await {
            Ok(_) => {
                waiting.set_back();
                serve_letters(app, external, &mut waiting, due.as_mut()).await
            }
            Err(error) => Err(Interrupted::External(error)),
        };
        match worked {
            Ok(()) => {
                backoff = BACKOFF_MIN;
                continue;
            }
            Err(Interrupted::External(error)) => tracing::debug!(%error, "what waits for a schema goes on waiting"),
            Err(Interrupted::Letters(problem)) => {
                tracing::warn!(code = problem.code(), "letters that wait for a schema could not be read");
            }
        }
        rest(external, backoff).await;
        backoff = (backoff * 2).min(period);
    }
}

/// Deals with letters as they come, until it is time to ask for what is new.
async fn serve_letters(
    app: &App,
    external: &External,
    waiting: &mut Waiting,
    mut due: Pin<&mut Sleep>,
) -> Result<(), Interrupted> {
    let mut progress = app.ledger.progress();
    loop {
        progress.mark_unchanged();
        while waiting.pass(app, external).await? {}
        tokio::select! {
            // Its end is the server's.
            changed = progress.changed() => if changed.is_err() { due.as_mut().await },
            () = external.0.answered.notified() => waiting.set_back(),
            () = due.as_mut() => return Ok(()),
        }
    }
}

/// Waits, or less if somebody has seen the registry answer.
async fn rest(external: &External, wait: Duration) {
    tokio::select! {
        () = external.0.answered.notified() => {}
        () = sleep(wait) => {}
    }
}
