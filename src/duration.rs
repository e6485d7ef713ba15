//! Spans of time as people write them: `90s`, `30m`, `4h`, `7d`.

use std::time::Duration;

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// Reads one of at least a second and at most `longest`; the error says what is allowed.
pub fn parse(text: &str, longest: Duration) -> Result<Duration, String> {
    let allowed = Duration::from_secs(1)..=longest;
    read(text).filter(|span| allowed.contains(span)).ok_or_else(|| {
        format!("a time such as 90s, 30m, 24h or 7d, at most {} days", longest.as_secs() / DAY_S)
    })
}

/// Reads one of any length.
pub fn read(text: &str) -> Option<Duration> {
    let seconds: u64 = match text.chars().next_back()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => DAY_S,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse::<u64>().ok().filter(|_| is_number)?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit_are_a_time() {
        let week = Duration::from_secs(7 * DAY_S);
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("4h", 14_400), ("7d", 604_800)] {
            assert_eq!(parse(text, week), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "0s", "8d", "+1d", "1", "1.5h", "1w", "é", "99999999999999999999d"] {
            assert!(parse(bad, week).unwrap_err().contains("at most 7 days"), "{bad}");
        }
    }
}
