//! Who answers at an address, and what if it is suddenly somebody else.
//!
//! A name that leads to one host now and to another one then, or two servers behind one address, must
//! not make hosts come and go in the tree with every poll.

use uuid::Uuid;

/// Answers in a row by which another instance proves that it is there to stay.
pub const PROOF: u32 = 3;

/// Who is believed to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    known: Option<Uuid>,
    /// Another one, and how often in a row it answered.
    other: Option<(Uuid, u32)>,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one that is known, or the first one ever, or one that has proven itself.
    Believed,
    /// It is another one than `known`, for the `times`th time in a row.
    Doubted { known: Uuid, times: u32 },
}

impl Identity {
    /// `known` answered before a restart.
    pub fn new(known: Option<Uuid>) -> Identity {
        Identity { known, other: None }
    }

    /// Takes note that `uuid` answered.
    pub fn answered(&mut self, uuid: Uuid) -> Verdict {
        let Some(known) = self.known.filter(|known| *known != uuid) else {
            *self = Identity::new(Some(uuid));
            return Verdict::Believed;
        };
        let times = match self.other {
            Some((other, times)) if other == uuid => times + 1,
            _ => 1,
        };
        if times >= PROOF {
            *self = Identity::new(Some(uuid));
            return Verdict::Believed;
        }
        self.other = Some((uuid, times));
        Verdict::Doubted { known, times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_instance_is_believed_after_three_answers_in_a_row() {
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        let doubted = |times| Verdict::Doubted { known: one, times };
        let mut identity = Identity::new(None);
        let story = [
            (one, Verdict::Believed),
            (two, doubted(1)),
            (two, doubted(2)),
            (one, Verdict::Believed),
            (two, doubted(1)),
            (three, doubted(1)),
            (two, doubted(1)),
            (two, doubted(2)),
            (two, Verdict::Believed),
            (two, Verdict::Believed),
            (one, Verdict::Doubted { known: two, times: 1 }),
        ];
        for (n, (uuid, verdict)) in story.into_iter().enumerate() {
            assert_eq!(identity.answered(uuid), verdict, "answer {n}");
        }
    }

    #[test]
    fn who_answered_before_a_restart_is_still_known() {
        let mut identity = Identity::new(Some(Uuid::from_u128(1)));
        let verdict = identity.answered(Uuid::from_u128(2));
        assert_eq!(verdict, Verdict::Doubted { known: Uuid::from_u128(1), times: 1 });
    }
}
