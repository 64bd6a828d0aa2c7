//! Money and tax.

use super::{Books, facts::*};
use events::{ContractActivated, common::*};
use jiff::civil::date;
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// A contract and an invoice of 12 345 minor units in a currency.
async fn booked_in(currency: &str) -> Books {
    let mut books = Books::open().await;
    let contract = ContractActivated {
        customer: Customer { currency: currency.into(), ..activated().customer },
        currency: currency.into(),
        ..activated()
    };
    books.tell(contract).await.expect("an order");
    let mut event = invoice("INV-1", &[12_345]);
    event.currency = currency.into();
    books.tell(event).await.expect("an invoice");
    books
}

#[tokio::test]
async fn exponents_of_0_2_and_3_decimals_reach_the_books_to_the_unit() {
    for (currency, printed) in [("JPY", json!(12_345)), ("GBP", json!(123.45)), ("KWD", json!(12.345))] {
        let books = booked_in(currency).await;
        assert_eq!(books.only("invoice").await["total"], printed, "{currency}");
        assert_eq!(books.total("invoice", currency).await, 12_345, "{currency}");
    }
}

#[tokio::test]
async fn each_line_is_rounded_and_the_total_is_their_sum_with_rounding_as_a_line() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    let mut event = invoice("INV-1", &[333, 333, 333]);
    event.totals.rounding_minor = 1;
    event.totals.payable_minor += 1;
    books.tell(event).await.expect("an invoice");
    let record = books.only("invoice").await;
    let amounts: Vec<f64> = lines(&record).iter().filter_map(|line| line["amount"].as_f64()).collect();
    assert_eq!(amounts, [3.33, 3.33, 3.33, 0.01], "the lines as they were, and the rounding by itself");
    assert_eq!(books.total("invoice", "GBP").await, 1_000);
}

#[tokio::test]
async fn tax_in_the_authoritys_currency_travels_beside_the_tax_and_is_not_computed() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    let mut event = taxed("INV-1", 1_000, "S", 20);
    event.tax_currency = Some("EUR".into());
    event.tax_in_tax_currency_minor = Some(237);
    books.tell(event).await.expect("an invoice");
    let record = books.only("invoice").await;
    assert_eq!(record["taxTotal"], json!(2));
    assert_eq!(record["custbody_tl_functional_currency"], "EUR");
    assert_eq!(number(&record["custbody_tl_functional_total"]), "2.37", "of the same sign, as it was stated");
}

#[tokio::test]
async fn tax_is_that_of_the_invoice_also_where_the_nexus_changed_since_the_order() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    books.tell(taxed("INV-1", 1_000, "S", 20)).await.expect("taxed at first");
    books.tell(taxed("INV-2", 1_000, "AE", 0)).await.expect("reverse charge since then");
    assert_eq!(books.only("salesOrder").await["taxTotal"], json!(0), "an order books no tax");
    let invoices = books.records("invoice").await;
    let taxes: Vec<_> = invoices.iter().map(|record| record["taxTotal"].clone()).collect();
    assert_eq!(taxes, [json!(2), json!(0)]);
    let code = |record: &Value| record["taxDetails"]["items"][0]["taxCode"]["id"].clone();
    assert!(!code(&invoices[1]).is_null(), "reverse charge is stated, not left out");
    assert_ne!(code(&invoices[0]), code(&invoices[1]));
}

#[tokio::test]
async fn one_document_has_taxed_lines_and_lines_under_reverse_charge() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    let mut event = taxed("INV-1", 1_000, "S", 20);
    event.lines.push(item("2", 500));
    event.lines[0].tax_minor = 200;
    event.lines[0].taxes = event.tax_breakdown.clone();
    event.tax_breakdown.push(TaxLine { category_code: "AE".into(), taxable_minor: 500, ..TaxLine::default() });
    event.totals.line_net_minor += 500;
    event.totals.tax_exclusive_minor += 500;
    event.totals.tax_inclusive_minor += 500;
    event.totals.payable_minor += 500;
    books.tell(event).await.expect("an invoice");
    let record = books.only("invoice").await;
    let details = record["taxDetails"]["items"].as_array().expect("tax of each line").clone();
    let told: Vec<_> = details.iter().map(|tax| (number(&tax["taxBasis"]), number(&tax["taxAmount"]))).collect();
    assert_eq!(told, [("10".to_owned(), "2".to_owned()), ("5".to_owned(), "0".to_owned())]);
    assert_ne!(details[0]["taxCode"], details[1]["taxCode"]);
}

#[tokio::test]
async fn a_stated_rate_is_kept_with_its_date_and_nothing_is_recomputed() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    books.tell(invoice("INV-1", &[1_000])).await.expect("an invoice");
    let mut event = payment("P-1", &[("INV-1", 1_000)], 0);
    // The bank's own amount: 10.00 at this rate would be 12.35.
    event.settlement = Some(Settlement {
        amount: Money { amount_minor: 1_229, currency: "USD".into() },
        rate: Some(Decimal::new(12_345_678, 7)),
        rate_on: Some(date(2026, 2, 4)),
        payout_ref: None,
    });
    books.tell(event).await.expect("a payment");
    let record = books.only("customerPayment").await;
    assert_eq!(
        (&record["custbody_tl_functional_currency"], &record["custbody_tl_fx_date"]),
        (&json!("USD"), &json!("2026-02-04"))
    );
    assert_eq!(number(&record["custbody_tl_fx_rate"]), "1.2345678");
    assert_eq!(number(&record["custbody_tl_functional_total"]), "12.29");
    assert_eq!(record["custbody_tl_fx_source"], "settlement");
    assert_eq!(books.total("customerPayment", "GBP").await, 1_000, "settled in the currency of the invoice");
}

#[tokio::test]
async fn prorated_lines_are_booked_as_they_were_computed() {
    let mut books = Books::open().await;
    books.tell(activated()).await.expect("an order");
    let mut event = invoice("INV-1", &[1_234, -17]);
    // By seconds, by days, by the vendor's own rule: what it came to is on the invoice.
    event.lines[0].quantity = "0.123287".parse().expect("a number");
    event.lines[0].unit_price = Decimal::from(100);
    event.lines[1].charge_type = ChargeType::Proration;
    books.tell(event).await.expect("an invoice");
    let amounts: Vec<f64> =
        lines(&books.only("invoice").await).iter().filter_map(|line| line["amount"].as_f64()).collect();
    assert_eq!(amounts, [12.34, -0.17], "quantity by price would be 12.33");
}

#[tokio::test]
async fn a_bundle_is_allocated_by_selling_price_and_lines_carry_their_service_period() {
    let mut books = Books::open().await;
    let contract = ContractActivated {
        lines: vec![contract_line("L-1", 2_001), contract_line("L-2", 1_000)],
        total_contract_value_minor: Some(3_001),
        revenue_plan: vec![obligation("L-1", 3_000, 0), obligation("L-2", 1_000, 0)],
        ..activated()
    };
    books.tell(contract).await.expect("an order and its plan");
    let plan = books.only("revenueArrangement").await;
    let elements = plan["revenueElement"]["items"].as_array().expect("elements").clone();
    let allocated: Vec<String> = elements.iter().map(|element| number(&element["allocationAmount"])).collect();
    assert_eq!(allocated, ["22.51", "7.5"], "three to one, and the unit that is left over goes to the larger part");
    let spread: Decimal = plan["revenuePlan"]["items"]
        .as_array()
        .expect("a schedule")
        .iter()
        .map(|slot| number(&slot["amount"]).parse::<Decimal>().expect("a number"))
        .sum();
    assert_eq!(spread.to_string(), "30.01", "all of it is recognised, and not a unit more");

    let mut event = invoice("INV-1", &[1_000]);
    let february = Period { start_on: date(2026, 2, 1), end_on: date(2026, 3, 1), timezone: "Europe/London".into() };
    event.lines[0].service_period = Some(february);
    books.tell(event).await.expect("an invoice");
    let line = lines(&books.only("invoice").await)[0].clone();
    let period = (&line["custcol_tl_period_start"], &line["custcol_tl_period_end"]);
    assert_eq!(period, (&json!("2026-02-01"), &json!("2026-02-28")));
}

fn lines(record: &Value) -> Vec<Value> {
    record["item"]["items"].as_array().cloned().unwrap_or_default()
}

/// A number as JSON has it, exact, without trailing zeros.
fn number(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse::<Decimal>().map_or(text, |number| number.normalize().to_string())
}
