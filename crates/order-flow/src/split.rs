//! One deal, an order for each seller, in its currency. The parts add up to the deal; an order's lines add up to its total.

use events::{
    OpportunityClosedWon, common::ContractLine, common::FxRate, common::RateType, common::SellerShare, currency,
};
use failure::Failure;
use rules::policy::entities::Entities;
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};

/// A seller's part of a deal.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub legal_entity_id: String,
    pub currency: String,
    /// Rate from the deal's currency, where it is another one.
    pub rate: Option<FxRate>,
    /// In `currency`.
    pub lines: Vec<ContractLine>,
    pub total_minor: i64,
    /// The part in the deal's currency: these add up to the deal.
    pub deal_minor: i64,
}

/// Splits a deal that the policies let through. A seller without any line gets no order.
///
/// # Errors
/// `INVARIANT_BROKEN` for a deal that the policies should not have let through.
pub fn split(deal: &OpportunityClosedWon, sellers: &[SellerShare], entities: &Entities) -> Result<Vec<Part>, Failure> {
    let mut parts: Vec<Vec<ContractLine>> = vec![Vec::new(); sellers.len()];
    for of in &deal.lines {
        match &of.seller_entity_id {
            Some(entity) => {
                let seller = sellers.iter().position(|seller| seller.legal_entity_id == *entity);
                let seller = seller.ok_or_else(|| broken("a line is sold by none of the sellers"))?;
                parts[seller].push(of.line.clone());
            }
            None => share(&of.line, sellers, &mut parts)?,
        }
    }
    let parts = sellers.iter().zip(parts).filter(|(_, lines)| !lines.is_empty());
    parts.map(|(seller, lines)| part(deal, seller, lines, entities)).collect()
}

/// Every seller has its share of the line; quantities add up, too.
fn share(line: &ContractLine, sellers: &[SellerShare], parts: &mut [Vec<ContractLine>]) -> Result<(), Failure> {
    let weights: Vec<i128> = sellers.iter().map(|seller| weight(seller.share_percent)).collect();
    let amounts = allocate(line.amount_minor, &weights)?;
    let mut left = line.quantity;
    let last = sellers.iter().rposition(|seller| !seller.share_percent.is_zero());
    for (index, (seller, amount_minor)) in sellers.iter().zip(amounts).enumerate() {
        if seller.share_percent.is_zero() {
            continue;
        }
        let part = (line.quantity * seller.share_percent / Decimal::ONE_HUNDRED).round_dp(6);
        let quantity = if Some(index) == last { left } else { part };
        left -= quantity;
        parts[index].push(ContractLine { quantity: quantity.normalize(), amount_minor, ..line.clone() });
    }
    Ok(())
}

fn weight(share: Decimal) -> i128 {
    (share * Decimal::from(10_000)).to_i128().unwrap_or_default()
}

fn part(
    deal: &OpportunityClosedWon,
    seller: &SellerShare,
    mut lines: Vec<ContractLine>,
    entities: &Entities,
) -> Result<Part, Failure> {
    let weights: Vec<i128> = lines.iter().map(|line| i128::from(line.amount_minor)).collect();
    let deal_minor = i64::try_from(weights.iter().sum::<i128>()).map_err(|_| broken("the amounts leave 64 bits"))?;
    let mut part = Part {
        legal_entity_id: seller.legal_entity_id.clone(),
        currency: seller.currency.clone(),
        rate: None,
        lines: Vec::new(),
        total_minor: deal_minor,
        deal_minor,
    };
    if seller.currency != deal.currency {
        let found = entities.rate(&deal.currency, &seller.currency).ok_or_else(|| broken("there is no rate"))?;
        part.total_minor = convert(deal_minor, &deal.currency, &seller.currency, found.rate)?;
        let amounts = allocate(part.total_minor, &weights)?;
        for (line, amount_minor) in lines.iter_mut().zip(amounts) {
            line.amount_minor = amount_minor;
            line.unit_price = (line.unit_price * found.rate).round_dp(9).normalize();
        }
        part.rate = Some(FxRate {
            from_currency: deal.currency.clone(),
            to_currency: seller.currency.clone(),
            rate: found.rate,
            rate_on: found.on,
            source: found.source.clone(),
            rate_type: RateType::Spot,
        });
    }
    part.lines = lines;
    Ok(part)
}

/// An amount in another currency, rounded once, half to even.
fn convert(minor: i64, from: &str, to: &str, rate: Decimal) -> Result<i64, Failure> {
    let scale = |code: &str| currency::exponent(code).ok_or_else(|| broken("a currency without decimals known"));
    let factor = |exponent: u32| Decimal::from(10_i64.pow(exponent));
    let (from, to) = (factor(scale(from)?), factor(scale(to)?));
    let major = Decimal::from(minor).checked_mul(rate).ok_or_else(|| broken("the amounts leave the numbers"))?;
    let converted = (major / from * to).round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
    converted.to_i64().ok_or_else(|| broken("the amounts leave 64 bits"))
}

/// Splits `total` by weight; the parts add up (largest remainder, the first of equals).
///
/// # Errors
/// If something is to be split by no weight at all.
pub fn allocate(total: i64, weights: &[i128]) -> Result<Vec<i64>, Failure> {
    let sum: i128 = weights.iter().sum();
    if sum == 0 {
        return if total == 0 { Ok(vec![0; weights.len()]) } else { Err(broken("an amount without shares")) };
    }
    let sign = sum.signum();
    let (sum, total) = (sum * sign, i128::from(total));
    let share = |weight: &i128| total.checked_mul(weight * sign).ok_or_else(|| broken("the amounts leave 128 bits"));
    let shares = weights.iter().map(share).collect::<Result<Vec<_>, _>>()?;
    let mut parts: Vec<i128> = shares.iter().map(|share| share.div_euclid(sum)).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(shares[*index].rem_euclid(sum)));
    let left = usize::try_from(total - parts.iter().sum::<i128>()).map_err(|_| broken("the parts exceed the whole"))?;
    order.iter().take(left).for_each(|index| parts[*index] += 1);
    parts.into_iter().map(|part| i64::try_from(part).map_err(|_| broken("the amounts leave 64 bits"))).collect()
}

fn broken(what: &str) -> Failure {
    Failure::bug("INVARIANT_BROKEN", format!("splitting a deal: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_divide_goes_to_the_largest_remainders() {
        assert_eq!(allocate(100, &[1, 1, 1]), Ok(vec![34, 33, 33]));
        assert_eq!(allocate(-100, &[1, 1, 1]).map(|parts| parts.iter().sum::<i64>()), Ok(-100));
        assert_eq!(allocate(5, &[0, 0]).map_err(|failure| failure.code), Err("INVARIANT_BROKEN".into()));
    }

    #[test]
    fn a_conversion_knows_the_decimals_of_both_currencies() {
        assert_eq!(convert(10_000, "USD", "JPY", Decimal::new(1565, 1)), Ok(15_650));
        assert_eq!(convert(1_000, "JPY", "KWD", Decimal::new(2, 3)), Ok(2_000));
        assert_eq!(convert(25, "USD", "EUR", Decimal::new(1, 1)), Ok(2), "half to even");
    }

    proptest! {
        #[test]
        fn parts_add_up_and_differ_from_their_share_by_less_than_one(
            total in -1_000_000_000_000_i64..1_000_000_000_000,
            weights in proptest::collection::vec(0_i128..1_000_000, 1..12),
        ) {
            prop_assume!(weights.iter().sum::<i128>() > 0);
            let parts = allocate(total, &weights).expect("there are shares");
            prop_assert_eq!(parts.iter().sum::<i64>(), total);
            let sum: i128 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                prop_assert!((i128::from(*part) * sum - i128::from(total) * weight).abs() < sum);
            }
        }
    }
}
