//! Waiting for a state by name, with a deadline. Tests never sleep and hope: they say what they wait for, and a test that
//! gives up says what it saw last.

use std::{fmt::Display, time::Duration};

/// Asked often at first, then seldom, so that quick things stay quick and slow ones cost nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What was waited for did not come about in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotInTime {
    /// What was waited for, in the words of the caller.
    pub awaited: String,
    pub deadline: Duration,
    pub attempts: u32,
    /// The last reason why it was not so yet.
    pub last_status: String,
}

impl Display for NotInTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { awaited, deadline, attempts, last_status } = self;
        write!(f, "{awaited}: not within {deadline:?} ({attempts} looks); last seen: {last_status}")
    }
}

impl std::error::Error for NotInTime {}

/// Asks `condition` until it answers `Ok`; an `Err` holds what is still missing. A question that hangs counts against the
/// deadline too.
///
/// ```
/// # tokio_test_block_on(async {
/// let mut looks = 0;
/// let answer = testkit::eventually("three looks", std::time::Duration::from_secs(5), async || {
///     looks += 1;
///     if looks == 3 { Ok(looks) } else { Err(format!("only {looks}")) }
/// })
/// .await;
/// assert_eq!(answer.unwrap(), 3);
/// # });
/// # fn tokio_test_block_on(f: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(f)
/// # }
/// ```
pub async fn eventually<T, S: Display>(
    awaited: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, S>,
) -> Result<T, NotInTime> {
    let ends_at = tokio::time::Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0;
    let mut last_status = "nothing yet".to_owned();
    loop {
        attempts += 1;
        match tokio::time::timeout_at(ends_at, condition()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(status)) => last_status = status.to_string(),
            Err(_) => last_status.push_str(" (and the last look did not return)"),
        }
        if tokio::time::Instant::now() + pause >= ends_at {
            return Err(NotInTime { awaited: awaited.to_owned(), deadline, attempts, last_status });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait_with_its_value() {
        let mut looks = 0;
        let found = eventually("the third look", Duration::from_secs(30), async || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("look {looks}")) }
        })
        .await;
        assert_eq!(found, Ok(3));
    }

    #[tokio::test]
    async fn giving_up_names_what_was_awaited_and_the_last_status() {
        let given_up = eventually("lag zero", Duration::from_millis(20), async || Err::<(), _>("lag is 7")).await;
        let message = given_up.expect_err("it never comes true").to_string();
        assert!(message.starts_with("lag zero: not within 20ms"), "{message}");
        assert!(message.ends_with("last seen: lag is 7"), "{message}");
    }

    #[tokio::test]
    async fn a_question_that_hangs_does_not_outlive_the_deadline() {
        let never = async || -> Result<(), String> { std::future::pending().await };
        assert!(eventually("an answer", Duration::from_millis(20), never).await.is_err());
    }
}
