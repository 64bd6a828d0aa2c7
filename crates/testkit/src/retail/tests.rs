use super::*;
use crate::{Scratch, cloudevent, scratch};
use jiff::Timestamp;

const HEADING: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

/// Translates a whole file: events, refusals, summary.
fn translate(path: &Path) -> (Vec<Published>, Vec<Refusal>, Summary) {
    let mut events = Events::open(path).expect("open");
    let (mut published, mut refused) = (Vec::new(), Vec::new());
    for item in events.by_ref() {
        match item.expect("readable") {
            Ok(event) => published.push(event),
            Err(refusal) => refused.push(refusal),
        }
    }
    (published, refused, events.summary().clone())
}

fn of_lines(lines: &[&str]) -> (Vec<Published>, Vec<Refusal>, Summary) {
    let scratch = Scratch::try_new("retail").expect("folder");
    let path = scratch.join("file.csv");
    std::fs::write(&path, format!("{HEADING}{}\n", lines.join("\n"))).expect("write");
    translate(&path)
}

fn ids(published: &[Published]) -> Vec<&str> {
    published.iter().map(|(envelope, _)| envelope.id.as_str()).collect()
}

/// Invoices, lines, Σ; credit notes, lines, Σ, with invoice; contracts, stock adjustments.
fn figures(summary: &Summary) -> ([u64; 7], [i64; 3]) {
    let counts = [
        summary.invoices,
        summary.invoice_lines,
        summary.credit_notes,
        summary.credit_note_lines,
        summary.credit_notes_with_invoice,
        summary.contracts,
        summary.skipped_stock_adjustments,
    ];
    (counts, [summary.invoiced_minor, summary.credited_minor, summary.net_minor()])
}

#[test]
fn the_slice_gives_the_totals_that_were_computed_independently() {
    let (published, refused, summary) = translate(&scratch::online_retail_slice());
    assert_eq!(refused, []);
    assert_eq!(figures(&summary), ([319, 6_945, 185, 514, 40, 244, 14], [14_908_389, 1_195_218, 13_713_171]));
    assert_eq!(summary.largest(3), [("walk-in:United Kingdom", 3_538_592), ("15061", 930_414), ("13777", 641_797)]);
    assert_eq!(summary.smallest(), Some(("14213", -119_220)));
    assert_eq!(summary.events(), published.len() as u64);
    let unique: HashSet<_> = ids(&published).into_iter().collect();
    assert_eq!(unique.len(), published.len());
}

#[test]
fn the_whole_file_gives_the_published_totals() {
    let Some(path) = scratch::online_retail_file() else {
        eprintln!(
            "skipped: the whole file is not on this machine (set THROUGHLINE_SHARED to the folder that has data/)"
        );
        return;
    };
    let (_, refused, summary) = translate(&path);
    assert_eq!(refused, []);
    let expected = ([9_659, 240_273, 2_006, 4_494, 1_396, 3_009, 1_130], [482_646_649, 42_851_573, 439_795_076]);
    assert_eq!(figures(&summary), expected);
    let largest = [("walk-in:United Kingdom", 65_581_894), ("14646", 13_595_711), ("18102", 10_644_334)];
    assert_eq!(summary.largest(3), largest);
    assert_eq!(summary.smallest(), Some(("14213", -119_220)));
}

#[test]
fn every_event_keeps_the_rules_of_the_wire_and_reads_back_from_its_line() {
    for (envelope, event) in translate(&scratch::online_retail_slice()).0 {
        assert_eq!(event.check(), Ok(()), "{}", envelope.id);
        assert_eq!(envelope.subject.as_deref(), Some(event.subject()));
        let read = cloudevent::read(&cloudevent::line(&envelope, &event));
        assert_eq!(read, Ok(cloudevent::Line::Event(envelope, event)));
    }
}

#[test]
fn a_contract_comes_before_the_first_document_of_its_account_and_only_once() {
    let (published, _, _) = of_lines(&[
        "1,A,x,1,2010-12-01 08:26:00,1.00,7.0,France",
        "2,A,x,1,2010-12-01 08:27:00,1.00,,France",
        "3,A,x,1,2010-12-01 08:28:00,1.00,7.0,France",
    ]);
    assert_eq!(ids(&published), ["contract-7", "1", "contract-walk-in:France", "2", "3"]);
    assert!(published.iter().all(|(envelope, _)| envelope.source == "urn:uci:online-retail"));
}

#[test]
fn issue_times_are_those_of_london_in_winter_and_in_summer() {
    let (published, _, _) =
        of_lines(&["1,A,x,1,2010-12-01 08:26:00,1.00,7,UK", "2,A,x,1,2011-06-01 08:26:00,1.00,7,UK"]);
    let at = |index: usize| published[index].1.effective_at();
    assert_eq!(at(1), "2010-12-01T08:26:00Z".parse::<Timestamp>().expect("time"));
    assert_eq!(at(2), "2011-06-01T07:26:00Z".parse::<Timestamp>().expect("time"));
}

#[test]
fn stock_and_ledger_adjustments_are_skipped_and_make_no_account() {
    let (published, refused, summary) = of_lines(&[
        "1,A,damaged,-10,2010-12-01 08:26:00,0.0,,UK",
        "A2,B,Adjust bad debt,1,2010-12-01 08:26:00,-11062.06,,UK",
    ]);
    assert_eq!((published.len(), refused.len()), (0, 0));
    assert_eq!((summary.skipped_stock_adjustments, summary.skipped_adjustments, summary.contracts), (1, 1, 0));
}

#[test]
fn a_line_is_rounded_half_up_before_it_is_summed() {
    let (published, _, summary) = of_lines(&[
        "1,A,x,5,2010-12-01 08:26:00,0.001,7,UK",
        "1,B,x,5,2010-12-01 08:26:00,0.001,7,UK",
        "C2,A,x,-5,2010-12-01 09:26:00,0.001,7,UK",
    ]);
    assert_eq!((summary.invoiced_minor, summary.credited_minor), (2, 1));
    let Event::CreditNoteIssued(note) = &published[2].1 else { panic!("a credit note") };
    assert_eq!((note.lines[0].quantity, note.lines[0].net_minor), (Decimal::from(5), 1));
}

#[test]
fn a_credit_note_refers_to_the_latest_earlier_invoice_with_at_least_that_quantity() {
    let (published, _, _) = of_lines(&[
        "1,A,x,10,2010-12-01 08:26:00,1.00,7,UK",
        "2,A,x,3,2010-12-02 08:26:00,1.00,7,UK",
        "3,A,x,9,2010-12-02 08:26:00,1.00,8,UK",
        "C4,A,x,-5,2010-12-03 08:26:00,1.00,7,UK",
        "C5,A,x,-2,2010-12-03 08:26:00,1.00,7,UK",
        "C6,A,x,-11,2010-12-03 08:26:00,1.00,7,UK",
        "C7,A,x,-1,2010-12-03 08:26:00,1.00,7,UK",
        "C7,B,x,-1,2010-12-03 08:26:00,1.00,7,UK",
    ]);
    let refers: Vec<_> = published
        .iter()
        .filter_map(|(_, event)| match event {
            Event::CreditNoteIssued(note) => {
                Some(note.preceding_invoice.as_ref().map(|invoice| invoice.invoice_id.as_str()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(refers, [Some("1"), Some("2"), None, None]);
}

#[test]
fn a_document_with_a_bad_line_is_refused_as_a_whole_and_the_rest_goes_on() {
    let (published, refused, summary) = of_lines(&[
        "1,A,x,1,2010-12-01 08:26:00,1.00,7,UK",
        "1,B,x,1,yesterday,1.00,7,UK",
        "2,A,x,1,2010-12-01 08:26:00,1.00,7,UK",
        "3,A,x,9223372036854775807,2010-12-01 08:26:00,99999999999,7,UK",
    ]);
    assert_eq!(ids(&published), ["contract-7", "2"]);
    assert_eq!((summary.refused, summary.invoiced_minor), (2, 100));
    assert_eq!(
        refused[0].to_string(),
        "line 3: InvoiceDate `yesterday` is not a date and time such as 2010-12-01 08:26:00; document 1 is left out"
    );
    assert_eq!((refused[1].file_line, refused[1].document.as_deref()), (5, Some("3")));
}
