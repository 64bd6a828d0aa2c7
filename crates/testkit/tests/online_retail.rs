//! The `online-retail` program as a user meets it.

use std::process::{Command, Output};
use testkit::{Scratch, cloudevent, scratch};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_online-retail")).args(arguments).output().expect("the program starts")
}

#[test]
fn the_slice_comes_out_as_lines_that_can_be_published_and_a_summary() {
    let slice = scratch::online_retail_slice();
    let output = run(&[slice.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(lines.lines().count(), 319 + 185 + 244);
    for line in lines.lines() {
        assert!(matches!(cloudevent::read(line), Ok(cloudevent::Line::Event(..))), "{line}");
    }
    let talk = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(talk.contains("319 invoices, 6945 lines, Σ 14908389 pence"), "{talk}");
    assert!(talk.contains("185 credit notes, 514 lines, Σ -1195218 pence"), "{talk}");
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    let slice = scratch::online_retail_slice();
    let path = slice.to_str().expect("a plain path");
    assert!(run(&["--quiet", path]).stdout == run(&["--quiet", path]).stdout);
}

#[test]
fn a_bad_line_is_named_and_the_exit_code_says_that_something_is_missing() {
    let scratch = Scratch::try_new("online-retail").expect("folder");
    let path = scratch.join("file.csv");
    let heading = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";
    let rows = "1,A,x,some,2010-12-01 08:26:00,1.00,7,UK\n2,A,x,1,2010-12-01 08:26:00,1.00,7,UK";
    std::fs::write(&path, format!("{heading}\n{rows}\n")).expect("write");
    let output = run(&["--quiet", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(3));
    let talk = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(talk.trim(), "line 2: Quantity `some` is not a whole number; document 1 is left out");
    assert_eq!(String::from_utf8(output.stdout).expect("UTF-8").lines().count(), 2);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = run(&["no/such/file.csv"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no/such/file.csv"));
}
