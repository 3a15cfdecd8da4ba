//! `storage_price`, `egress_price` and `budget`: what things cost, and what may be spent.

use super::fragment;
use super::network::{ends, link_place, node_id};
use super::problem::{Invalid, Problems};
use crate::domain::books::{Payer, Stated, Tariff};
use crate::domain::ids::NodeId;
use crate::domain::money::{Budget, Currency, MoneyError, StoragePrice, TransferPrice};
use std::collections::BTreeSet;
use std::str::FromStr;

/// What a network states about money.
pub fn tariff(network: &fragment::Network, ids: &BTreeSet<NodeId>, problems: &mut Problems) -> Tariff {
    let mut tariff = prices(&network.node, &network.link, ids, problems);
    let budget = budget(network.budget.as_ref(), tariff.currency());
    let budget = problems.check("budget", budget).flatten();
    tariff.set(Stated::Budget(Payer::Network, budget));
    tariff
}

/// Of nodes and links.
pub fn prices(
    nodes: &[fragment::Node],
    links: &[fragment::Link],
    ids: &BTreeSet<NodeId>,
    problems: &mut Problems,
) -> Tariff {
    let mut tariff = Tariff::default();
    for node in nodes {
        // A number that is none is told elsewhere.
        let (Some(written), Ok(id)) = (&node.storage_price, node_id(node.id)) else { continue };
        let price = read::<StoragePrice>(written, StoragePrice::EXAMPLE)
            .and_then(|price| in_currency(price, price.currency, tariff.currency()));
        if let Some(price) = problems.check(format!("node {id}: storage_price"), price) {
            tariff.set(Stated::Storage(id, Some(price)));
        }
    }
    for (index, link) in links.iter().enumerate() {
        let (Some(written), Ok(ends)) = (&link.egress_price, ends(link, ids)) else { continue };
        let price = read::<TransferPrice>(written, TransferPrice::EXAMPLE)
            .and_then(|price| in_currency(price, price.currency, tariff.currency()));
        if let Some(price) = problems.check(format!("{}: egress_price", link_place(index, link)), price) {
            ends.into_iter().for_each(|(from, to)| tariff.set(Stated::Egress(from, to, Some(price))));
        }
    }
    tariff
}

/// What may be spent, in the currency of the network where it has one.
pub fn budget(written: Option<&fragment::Quantity>, currency: Option<Currency>) -> Result<Option<Budget>, Invalid> {
    let Some(written) = written else { return Ok(None) };
    let budget: Budget = read(written, Budget::EXAMPLE)?;
    in_currency(budget, budget.currency, currency).map(Some)
}

/// In which a network's own file states prices or its budget, also when something else is wrong with it.
pub fn currency(network: &fragment::Network) -> Option<Currency> {
    let ids = super::network::node_ids(network);
    tariff(network, &ids, &mut Problems::default()).currency()
}

fn read<T: FromStr<Err = MoneyError>>(written: &fragment::Quantity, example: &str) -> Result<T, Invalid> {
    written.0.parse().map_err(|error: T::Err| Invalid::new(error.to_string(), format!("write it like `{example}`")))
}

fn in_currency<T>(value: T, own: Currency, all: Option<Currency>) -> Result<T, Invalid> {
    match all.filter(|all| *all != own) {
        Some(all) => Err(Invalid::new(
            format!("is in {own}, and others are in {all}"),
            "state all in one currency: nothing is exchanged",
        )),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AgentId;

    const NODES: &str = "[[node]]\nid = 1\nname = \"a\"\navailability = \"90 %\"\nstorage_price = \"0.02 EUR/GB/month\"\n\
        [[node]]\nid = 2\nname = \"b\"\navailability = \"90 %\"\n";

    /// The prices of two nodes and of what is between them, or what is wrong with them.
    fn check(links: &str) -> Result<Tariff, String> {
        let written: fragment::Addition = fragment::parse(&format!("{NODES}{links}")).map_err(|(_, it)| it.problem)?;
        let mut problems = Problems::default();
        problems.enter("network.toml");
        let tariff = prices(&written.node, &written.link, &[NodeId(1), NodeId(2)].into(), &mut problems);
        problems.settle(Some(tariff)).map_err(|error| error.to_string())
    }

    #[test]
    fn prices_of_a_link_between_two_nodes_are_of_both_directions() {
        let tariff = check("[[link]]\nbetween = [1, 2]\nlatency = \"1 s\"\negress_price = \"0.09 EUR/GB\"\n").unwrap();
        let stated: Vec<String> = tariff.stated().map(|stated| format!("{stated:?}")).collect();
        assert_eq!(stated.len(), 3, "{stated:?}");
        let one = check("[[link]]\nfrom = 2\nto = 1\nlatency = \"1 s\"\negress_price = \"0.09 EUR/GB\"\n").unwrap();
        assert_eq!(one.egress.keys().copied().collect::<Vec<_>>(), [(NodeId(2), NodeId(1))]);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_its_place() {
        let refused = |price: &str| {
            check(&format!("[[link]]\nbetween = [1, 2]\nlatency = \"1 s\"\negress_price = {price}\n")).unwrap_err()
        };
        assert_eq!(
            refused("\"0.09 USD/GB\""),
            "network.toml: link 1-2: egress_price: is in USD, and others are in EUR\n  help: state all in one currency: nothing is \
             exchanged"
        );
        assert_eq!(
            refused("\"0.09/GB\""),
            "network.toml: link 1-2: egress_price: `0.09/GB` is no currency: three capital letters\n  help: write it like `0.09 EUR/GB`"
        );
        assert!(refused("0.09").contains("instead of a quantity with its unit in quotes"));
    }

    #[test]
    fn a_budget_is_in_the_currency_of_the_network() {
        let written = |text: &str| fragment::Quantity(text.to_owned());
        let eur = "EUR".parse().ok();
        assert_eq!(budget(Some(&written("5 EUR/day")), eur).unwrap().unwrap().to_string(), "5.00 EUR/day");
        assert_eq!(budget(Some(&written("5 USD/day")), eur).unwrap_err().problem, "is in USD, and others are in EUR");
        assert_eq!(budget(Some(&written("5 USD/day")), None).unwrap().unwrap().currency.to_string(), "USD");
        assert_eq!(budget(None, eur), Ok(None));
        assert_eq!(Payer::of_number(2), Payer::Agent(AgentId(2)));
    }
}
