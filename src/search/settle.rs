//! What stays when a search ends: the selection that its scores ask for, within the budget.
//!
//! The scores of a search have grown under the penalty, which is in proportion to prices: a score
//! says already whether something is worth what it costs. So what is too much goes by score,
//! lowest first, and what is left over is spent by score, highest first, whatever the prices.

use super::objective::Objective;
use crate::graph::Layout;
use crate::kernels::squares;
use std::cmp::Ordering;
use std::ops::Range;

/// Squares that may be kept or dropped.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Squares {
    /// Channels that keep or lose theirs together.
    pub groups: Vec<squares::Group>,
    /// Score of each group.
    pub scores: Vec<f32>,
    /// Whether it has its squares.
    pub kept: Vec<bool>,
}

/// Something that is kept or dropped as one.
#[derive(Debug, Clone)]
struct Item {
    score: f64,
    site: usize,
    what: What,
}

impl Item {
    /// Elements of a run of ReLUs.
    fn elements(&self) -> usize {
        match &self.what {
            What::Relus(run, _) => run.len(),
            What::Squares(_) => 0,
        }
    }
}

#[derive(Debug, Clone)]
enum What {
    /// ReLUs of these elements, and the group that their squares belong to, if to any.
    Relus(Range<usize>, Option<usize>),
    /// The squares of a group.
    Squares(usize),
}

/// A selection under way: what there is at each site, and what it costs.
struct Ledger<'a> {
    objective: &'a Objective,
    mask: &'a mut [f32],
    squares: &'a mut Squares,
    /// ReLUs and squares by site.
    sites: Vec<(usize, usize)>,
    /// ReLUs within each group of squares.
    relus: Vec<usize>,
    cost: f64,
}

impl Ledger<'_> {
    fn is_kept(&self, item: &Item) -> bool {
        match &item.what {
            What::Relus(run, _) => self.mask[run.start] != 0.0,
            What::Squares(group) => self.squares.kept[*group],
        }
    }

    /// What the item's site holds once the item is kept no more, or again.
    fn toggled(&self, item: &Item) -> (usize, usize) {
        let (relus, squares) = self.sites[item.site];
        let kept = self.is_kept(item);
        match &item.what {
            What::Relus(run, group) => {
                // Elements without a ReLU have their channel's polynomial.
                let beside = match group.is_some_and(|group| self.squares.kept[group]) {
                    true => run.len(),
                    false => 0,
                };
                match kept {
                    true => (relus - run.len(), squares + beside),
                    false => (relus + run.len(), squares - beside),
                }
            }
            What::Squares(group) => {
                let elements = self.squares.groups[*group].elements as usize;
                let own = elements - self.relus[*group];
                match kept {
                    true => (relus, squares - own),
                    false => (relus, squares + own),
                }
            }
        }
    }

    /// By how much the cost changes when the item is toggled.
    fn difference(&self, item: &Item) -> f64 {
        let prices = &self.objective.prices;
        let (now, then) = (self.sites[item.site], self.toggled(item));
        prices.site(then.0, then.1) - prices.site(now.0, now.1)
    }

    fn toggle(&mut self, item: &Item) {
        self.cost += self.difference(item);
        let kept = self.is_kept(item);
        self.sites[item.site] = self.toggled(item);
        match &item.what {
            What::Relus(run, group) => {
                self.mask[run.clone()].fill(if kept { 0.0 } else { 1.0 });
                if let Some(group) = *group {
                    match kept {
                        true => self.relus[group] -= run.len(),
                        false => self.relus[group] += run.len(),
                    }
                }
            }
            What::Squares(group) => self.squares.kept[*group] = !kept,
        }
    }

    fn is_met(&self) -> bool {
        self.objective.allows(self.cost)
    }

    /// Drops kept items while that saves anything and the budget is not met.
    fn drop_while_over<'i>(&mut self, items: impl IntoIterator<Item = &'i Item>) {
        for item in items {
            if self.is_met() {
                return;
            }
            if self.is_kept(item) && self.difference(item) < 0.0 {
                self.toggle(item);
            }
        }
    }

    /// Empties whole sites of what `selects`, the lowest mean score first: where a site costs as
    /// such, its last element saves more than all others.
    fn empty_while_over(&mut self, items: &[Item], selects: fn(&Item) -> bool) {
        let mut sites: Vec<(f64, usize)> = (0..self.sites.len())
            .filter_map(|site| {
                let own = items.iter().filter(|item| item.site == site);
                let own = own.filter(|item| selects(item) && self.is_kept(item));
                let (sum, count) = own.fold((0.0, 0), |(s, n), item| (s + item.score, n + 1));
                (count > 0).then(|| (sum / f64::from(count), site))
            })
            .collect();
        sites.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, site) in sites {
            if self.is_met() {
                return;
            }
            for item in items.iter().filter(|item| item.site == site) {
                if selects(item) && self.is_kept(item) {
                    self.toggle(item);
                }
            }
        }
    }

    /// Gives sites without a ReLU all of theirs again, the highest mean score first, where sites
    /// cost as such and the budget allows it: once one ReLU is paid for, the others are cheap.
    fn reopen(&mut self, items: &[Item]) {
        if self.objective.prices.relu_site == 0.0 {
            return;
        }
        let is_relu = |item: &&Item| matches!(item.what, What::Relus(..));
        let mut sites: Vec<(f64, usize)> = (0..self.sites.len())
            .filter(|&site| self.sites[site].0 == 0)
            .map(|site| {
                let own = items
                    .iter()
                    .filter(|item| item.site == site)
                    .filter(is_relu);
                let (sum, count) = own.fold((0.0, 0), |(s, n), item| (s + item.score, n + 1));
                (sum / f64::from(count.max(1)), site)
            })
            .collect();
        sites.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, site) in sites {
            let own = items
                .iter()
                .filter(|item| item.site == site)
                .filter(is_relu);
            let elements: usize = own.clone().map(Item::elements).sum();
            let prices = &self.objective.prices;
            let (relus, squares) = self.sites[site];
            let more = prices.site(elements, 0) - prices.site(relus, squares);
            if self.objective.allows(self.cost + more) {
                own.for_each(|item| self.toggle(item));
            }
        }
    }

    /// Keeps what costs nothing, for what else is there has been paid for: a polynomial without
    /// its square, or in the place of a ReLU, is only second best.
    fn keep_what_is_free(&mut self, items: &[Item]) {
        for item in items {
            if !self.is_kept(item) && self.difference(item) == 0.0 {
                self.toggle(item);
            }
        }
    }

    /// Keeps more while the budget allows it. A site that costs as such is not opened again for
    /// an element.
    fn spend<'i>(&mut self, items: impl IntoIterator<Item = &'i Item>) {
        let opens_dearly = self.objective.prices.relu_site > 0.0;
        for item in items {
            let is_relu = matches!(item.what, What::Relus(..));
            let is_open = self.sites[item.site].0 > 0;
            let difference = self.difference(item);
            if !self.is_kept(item)
                && difference > 0.0
                && (is_open || !is_relu || !opens_dearly)
                && self.objective.allows(self.cost + difference)
            {
                self.toggle(item);
            }
        }
    }
}

/// ReLUs and squares of each site, and the ReLUs within each group of squares.
fn counts(layout: &Layout, mask: &[f32], squares: &Squares) -> (Vec<(usize, usize)>, Vec<usize>) {
    let count = |range: Range<usize>| mask[range].iter().filter(|m| **m != 0.0).count();
    let of_group = |group: &squares::Group| {
        let first = group.first_element as usize;
        count(first..first + group.elements as usize)
    };
    let relus: Vec<usize> = squares.groups.iter().map(of_group).collect();
    let sites = layout.sites.iter();
    let mut sites: Vec<(usize, usize)> = sites.map(|site| (count(site.range()), 0)).collect();
    for (index, group) in squares.groups.iter().enumerate() {
        if squares.kept[index] {
            sites[group.site as usize].1 += group.elements as usize - relus[index];
        }
    }
    (sites, relus)
}

impl Objective {
    /// What a selection costs.
    pub fn cost(&self, layout: &Layout, mask: &[f32], squares: &Squares) -> f64 {
        self.prices.cost(counts(layout, mask, squares).0)
    }
}

/// Makes `mask` and `squares` a selection within the budget: what is too much goes, lowest score
/// first; with `spend` what is left over is spent, highest score first, and what costs nothing is
/// kept. Equal scores go by position, so the selection is reproducible. `runs` are kept or dropped as
/// one, by the score of their first element. Where only ReLUs are counted, one by one, the budget is
/// met exactly. Padding between sites is never touched. Returns the cost.
pub fn settle(
    layout: &Layout,
    objective: &Objective,
    runs: &[Range<usize>],
    scores: &[f32],
    mask: &mut [f32],
    squares: &mut Squares,
    spend: bool,
) -> f64 {
    let mut items = items(layout, runs, scores, squares);
    let (sites, relus) = counts(layout, mask, squares);
    let cost = objective.prices.cost(sites.iter().copied());
    let mut ledger = Ledger {
        objective,
        mask,
        squares,
        sites,
        relus,
        cost,
    };
    items.sort_unstable_by(|a, b| a.score.total_cmp(&b.score).then(by_place(a, b)));
    ledger.drop_while_over(&items);
    ledger.empty_while_over(&items, |item| matches!(item.what, What::Relus(..)));
    ledger.empty_while_over(&items, |item| matches!(item.what, What::Squares(_)));
    items.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(by_place(a, b)));
    if spend {
        ledger.reopen(&items);
        ledger.spend(&items);
        ledger.keep_what_is_free(&items);
    }
    objective.prices.cost(ledger.sites)
}

fn items(layout: &Layout, runs: &[Range<usize>], scores: &[f32], squares: &Squares) -> Vec<Item> {
    let mut items = Vec::with_capacity(runs.len() + squares.groups.len());
    let (mut site, mut group) = (0, 0);
    let end = |group: &squares::Group| (group.first_element + group.elements) as usize;
    // Runs, sites and groups lie in the same order.
    for run in runs {
        while layout.sites[site].range().end <= run.start {
            site += 1;
        }
        while squares
            .groups
            .get(group)
            .is_some_and(|g| end(g) <= run.start)
        {
            group += 1;
        }
        items.push(Item {
            score: scores[run.start].into(),
            site,
            what: What::Relus(run.clone(), (group < squares.groups.len()).then_some(group)),
        });
    }
    for (index, (group, &score)) in squares.groups.iter().zip(&squares.scores).enumerate() {
        items.push(Item {
            score: score.into(),
            site: group.site as usize,
            what: What::Squares(index),
        });
    }
    items
}

/// ReLUs before squares, then by position.
fn by_place(a: &Item, b: &Item) -> Ordering {
    let place = |item: &Item| match &item.what {
        What::Relus(run, _) => (0, run.start),
        What::Squares(group) => (1, *group),
    };
    place(a).cmp(&place(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Network;
    use crate::kernels::metrics::Prices;
    use crate::models::ModelSpec;
    use crate::reference::random::random;
    use crate::search::granularity;
    use crate::settings::Granularity;

    fn network() -> Network {
        let spec = ModelSpec {
            name: "resnet8".into(),
            width: 0.25,
            input: (9, 7),
            classes: 3,
        };
        spec.build().unwrap()
    }

    /// Scores of which few are distinct, so that ties occur, and a mask of some density.
    fn draw(layout: &Layout, case: u32) -> (Vec<f32>, Vec<f32>) {
        let draw = |i: usize, purpose| random(case, 0, i as u32, purpose);
        let scores = (0..layout.elements)
            .map(|i| (draw(i, 0) % 50) as f32 - 25.0)
            .collect();
        let mut mask = vec![0f32; layout.elements];
        let density = draw(0, 1) % 5;
        for site in &layout.sites {
            for i in site.range() {
                mask[i] = f32::from(u8::from(draw(i, 2) % 4 < density));
            }
        }
        (scores, mask)
    }

    #[test]
    fn any_mask_meets_any_count_exactly_with_the_best_scores() {
        let network = network();
        let layout = Layout::new(&network);
        let total = network.relu_total();
        let runs = granularity::runs(&layout, Granularity::Element);
        for case in 0..40u32 {
            let (scores, mut mask) = draw(&layout, case);
            let before = mask.clone();
            let budget = match case % 4 {
                0 => 0,
                1 => total,
                _ => random(case, 0, 1, 3) as usize % total,
            };
            let objective = Objective {
                prices: Prices::COUNT,
                budget: budget as f64,
                full: total as f64,
            };
            let none = &mut Squares::default();
            let cost = settle(&layout, &objective, &runs, &scores, &mut mask, none, true);
            assert_eq!(cost, budget as f64);
            assert_eq!(mask.iter().filter(|m| **m != 0.0).count(), budget);
            let inside: Vec<usize> = layout.sites.iter().flat_map(|s| s.range()).collect();
            assert!((0..mask.len()).all(|i| inside.contains(&i) || mask[i] == 0.0));
            // Whatever changed, nothing better of the same kind was passed over.
            let changed = |i: &&usize| mask[**i] != before[**i];
            for &i in inside.iter().filter(changed) {
                for &j in &inside {
                    if before[j] == before[i] && mask[j] == before[j] {
                        let better = if mask[i] == 1.0 {
                            scores[i] >= scores[j]
                        } else {
                            scores[i] <= scores[j]
                        };
                        assert!(better, "case {case}: {i} changed, {j} did not");
                    }
                }
            }
        }
    }

    /// What a selection costs, counted anew.
    fn recount(layout: &Layout, prices: &Prices, mask: &[f32], squares: &Squares) -> f64 {
        let kept = |range: Range<usize>| mask[range].iter().filter(|m| **m != 0.0).count();
        let mut sites: Vec<(usize, usize)> = layout
            .sites
            .iter()
            .map(|site| (kept(site.range()), 0))
            .collect();
        for (group, _) in squares
            .groups
            .iter()
            .zip(&squares.kept)
            .filter(|(_, k)| **k)
        {
            let first = group.first_element as usize;
            let elements = group.elements as usize;
            sites[group.site as usize].1 += elements - kept(first..first + elements);
        }
        prices.cost(sites)
    }

    #[test]
    fn no_budget_of_any_kind_is_exceeded_and_little_is_wasted() {
        let network = network();
        let layout = Layout::new(&network);
        let all = [
            Granularity::Element,
            Granularity::Channel,
            Granularity::Site,
        ];
        // Bytes, rounds, and both.
        let kinds = [
            (184.0, 8.0, 0.0, 0.0),
            (0.0, 0.0, 9.0, 1.0),
            (184.0, 8.0, 900.0, 100.0),
        ];
        for case in 0..45u32 {
            let granularity = all[case as usize % 3];
            let (relu, square, relu_site, square_site) = kinds[case as usize / 3 % 3];
            let prices = Prices {
                relu,
                square,
                relu_site,
                square_site,
            };
            let runs = granularity::runs(&layout, granularity);
            let (scores, mut mask) = draw(&layout, case);
            for run in &runs {
                let first = mask[run.start];
                mask[run.clone()].fill(first);
            }
            let groups = granularity::squares(&layout, granularity);
            let mut squares = Squares {
                scores: (0..groups.len() as u32)
                    .map(|g| (random(case, 1, g, 0) % 50) as f32 - 25.0)
                    .collect(),
                kept: (0..groups.len() as u32)
                    .map(|g| !random(case, 1, g, 1).is_multiple_of(3))
                    .collect(),
                groups,
            };
            let full = prices.cost(layout.sites.iter().map(|site| (site.shape.len(), 0)));
            let objective = Objective {
                prices,
                budget: full * f64::from(case) / 60.0,
                full,
            };
            let what = format!("case {case}, {granularity}, {prices:?}");
            let cost = settle(
                &layout,
                &objective,
                &runs,
                &scores,
                &mut mask,
                &mut squares,
                true,
            );
            assert_eq!(cost, recount(&layout, &prices, &mask, &squares), "{what}");
            assert!(
                cost <= objective.budget,
                "{what}: {cost} of {}",
                objective.budget
            );
            for run in &runs {
                let alike = mask[run.clone()].iter().all(|m| *m == mask[run.start]);
                assert!(alike, "{what}: a run was torn");
            }
            // Nothing that is left out would have fitted in, but for sites that cost as such.
            if relu_site == 0.0 && granularity == Granularity::Element {
                let room = objective.budget - cost;
                let relus = mask.iter().filter(|m| **m != 0.0).count();
                assert!(
                    room < relu || relus == network.relu_total(),
                    "{what}: {room} left"
                );
            }
        }
    }

    #[test]
    fn rounds_are_saved_by_emptying_the_site_with_the_lowest_scores() {
        let layout = Layout::new(&network());
        let runs = granularity::runs(&layout, Granularity::Element);
        let sites = layout.sites.len();
        let mut scores = vec![0f32; layout.elements];
        let mut mask = vec![0f32; layout.elements];
        for (index, site) in layout.sites.iter().enumerate() {
            // The third site has the lowest scores.
            scores[site.range()].fill(((index + sites - 2) % sites) as f32);
            mask[site.range()].fill(1.0);
        }
        let groups = granularity::squares(&layout, Granularity::Element);
        let mut squares = Squares {
            scores: vec![1.0; groups.len()],
            kept: vec![true; groups.len()],
            groups,
        };
        let objective = Objective {
            prices: Prices {
                relu: 0.0,
                square: 0.0,
                relu_site: 9.0,
                square_site: 1.0,
            },
            budget: (9 * sites - 8) as f64,
            full: (9 * sites) as f64,
        };
        let cost = settle(
            &layout,
            &objective,
            &runs,
            &scores,
            &mut mask,
            &mut squares,
            true,
        );
        assert_eq!(cost, objective.budget);
        let all = |mask: &[f32], site: usize, kept| {
            let mask = &mask[layout.sites[site].range()];
            mask.iter().all(|m| *m == kept)
        };
        for site in 0..sites {
            let kept = if site == 2 { 0.0 } else { 1.0 };
            assert!(all(&mask, site, kept), "site {site}");
        }

        // A search that emptied too much: all that can be paid for comes back, squares too.
        mask.fill(0.0);
        squares.kept[3..].fill(false);
        let cost = settle(
            &layout,
            &objective,
            &runs,
            &scores,
            &mut mask,
            &mut squares,
            true,
        );
        assert_eq!(cost, objective.budget);
        assert!(all(&mask, 2, 0.0) && all(&mask, 3, 1.0));
        assert!(squares.kept.iter().all(|kept| *kept));
    }
}
