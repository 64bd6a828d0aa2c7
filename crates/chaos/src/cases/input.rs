//! What happens to topics, to what is in them, to the outside system, and to the time of day.

use super::{Act, Case, Odd, case};

pub(super) const CASES: &[Case] = &[
    Case {
        needs: &["slices stopped"],
        seconds: 90,
        ..case(
            "topic-recreated",
            "F23",
            Act::Recreated,
            "a topic is deleted and made again: its slices stop until an operator accepts",
        )
    },
    Case {
        needs: &["slices stopped"],
        seconds: 75,
        ..case(
            "position-forgotten",
            "F23",
            Act::Forgotten,
            "retention passes the position: the slice stops until an operator accepts",
        )
    },
    Case {
        needs: &["DEAD_LETTER_UNAVAILABLE"],
        seconds: 60,
        ..case(
            "letters-refused",
            "F45",
            Act::LettersRefused,
            "the topic of dead letters takes none, not even one without its value",
        )
    },
    Case {
        seconds: 75,
        ..case(
            "erp-misbehaves",
            "F30 F31 F32 F34 F35",
            Act::Outside,
            "429, 500 after the effect, cut before and after it, late effects, late look-ups, broken JSON",
        )
    },
    Case {
        needs: &["calls longer than a session", "slices stayed with their owner"],
        seconds: 90,
        ..case(
            "erp-slow",
            "F25",
            Act::OutsideSlow,
            "every call takes longer than a session of the group: nobody loses a slice over it",
        )
    },
    Case {
        needs: &["published again"],
        seconds: 60,
        ..case(
            "copies",
            "F36",
            Act::Input(Odd::Copies),
            "every other event comes twice, and when all is done everything comes once more",
        )
    },
    Case {
        needs: &["sequences set aside"],
        seconds: 60,
        ..case(
            "disorder",
            "F37",
            Act::Input(Odd::Disorder),
            "a third of the events come late, and what is referred to after what refers to it",
        )
    },
    Case {
        needs: &["dead letters made"],
        seconds: 60,
        ..case(
            "poison",
            "F41 F43 F44",
            Act::Input(Odd::Poison),
            "one record in ten is no event: empty, cut off, forged, too large, against the contract",
        )
    },
    Case {
        needs: &["another time of day"],
        seconds: 90,
        ..case(
            "clock",
            "F38",
            Act::Clock,
            "the clock of one of two replicas goes an hour ahead, an hour back, and right again",
        )
    },
];
