//! The page: what the template is given.

use super::ReportError;
use super::charts;
use super::overview::{Family, spread};
use super::published::Published;
use super::run::{Found, Run};
use super::svg::short;
use crate::cost::{self, Layer, Link, Parts, Price, Protocol, SiteCost, SiteCounts, Weights};
use crate::private;
use crate::run::summary::TeacherSplit;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, context};

const TEMPLATE: &str = include_str!("../../assets/report/page.html");
const STYLE: &str = include_str!("../../assets/report/page.css");

/// Runs that are shown in detail; more would make the page heavy.
const DETAILED: usize = 6;

/// The page of some runs.
///
/// # Errors
/// [`ReportError`], only where a file in the program is wrong.
pub fn render(found: &Found) -> Result<String, ReportError> {
    let published = Published::load()?;
    let protocols = Protocol::all()?;
    let families = Family::all(&found.runs, &published);
    let families = families.iter().enumerate();
    let families: Vec<Value> = families
        .map(|(index, family)| of_family(&format!("f{index}"), family, &published, &protocols))
        .collect();
    let shown = detailed(&found.runs);
    let details = shown.iter().enumerate();
    let details: Vec<Value> = details
        .map(|(index, run)| of_run(&format!("r{index}"), run, &protocols))
        .collect();
    let unfinished: Vec<String> = found
        .unfinished
        .iter()
        .map(|p| p.display().to_string())
        .collect();
    let mut environment = Environment::new();
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    // Whatever the template is called: what it makes is HTML.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    let page = environment.render_str(
        TEMPLATE,
        context! {
            style => Value::from_safe_string(STYLE.to_owned()),
            title => title(&found.runs),
            families,
            runs => details,
            total => found.runs.len(),
            unfinished,
            version => env!("CARGO_PKG_VERSION"),
        },
    )?;
    Ok(page)
}

fn title(runs: &[Run]) -> String {
    match runs {
        [run] => format!(
            "{}: {} on {}",
            run.name(),
            run.summary.model,
            run.summary.dataset
        ),
        _ => format!("{} runs", runs.len()),
    }
}

/// The runs to show in detail: all, or of every method and budget the best by validation accuracy,
/// from small budgets to large, as many as there is room for.
fn detailed(runs: &[Run]) -> Vec<&Run> {
    if runs.len() <= DETAILED {
        return runs.iter().collect();
    }
    let mut best: Vec<&Run> = Vec::new();
    for run in runs.iter().filter(|run| !run.is_teacher()) {
        let same = |other: &&mut &Run| {
            other.summary.relu_count == run.summary.relu_count
                && other.summary.model == run.summary.model
                && other.summary.dataset == run.summary.dataset
        };
        match best.iter_mut().find(same) {
            Some(other) if run.summary.result.val_top1 > other.summary.result.val_top1 => {
                *other = run;
            }
            Some(_) => {}
            None => best.push(run),
        }
    }
    best.sort_by_key(|run| run.summary.relu_count);
    best.truncate(DETAILED);
    best
}

/// A chart, which has escaped what it was given.
fn safe(html: String) -> Value {
    Value::from_safe_string(html)
}

fn all_safe(html: impl IntoIterator<Item = String>) -> Vec<Value> {
    html.into_iter().map(safe).collect()
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A count with its thousands apart.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn of_family(id: &str, family: &Family, published: &Published, protocols: &[Protocol]) -> Value {
    let searched = family.runs.iter().any(|run| !run.is_teacher());
    // The first whose rounds and bytes are both known.
    let priced = protocols
        .iter()
        .find(|p| p.relu.bytes.is_some() && p.relu.rounds.is_some() && p.missing().is_empty());
    let costs = priced.filter(|_| searched).map(|p| family.costs(id, p));
    let rows: Vec<Value> = rows(family);
    context! {
        title => family.title(),
        accuracy => safe(family.relus(&format!("{id}-relus"), published)),
        costs => all_safe(costs.into_iter().flatten()),
        sources => family.sources(published),
        caution => family.caution(published),
        rows,
    }
}

/// The table of a family: runs that differ only by seed share a row.
fn rows(family: &Family) -> Vec<Value> {
    let mut groups: Vec<(String, Vec<&Run>)> = Vec::new();
    for run in &family.runs {
        let key = format!("{} {}", run.label(), run.experiment());
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, runs)) => runs.push(run),
            None => groups.push((key, vec![run])),
        }
    }
    groups.sort_by_key(|(_, runs)| std::cmp::Reverse(runs[0].summary.relu_count));
    let mean = |runs: &[&Run], value: &dyn Fn(&Run) -> f64| {
        let (mean, deviation) = spread(runs.iter().map(|run| 100.0 * value(run)));
        match runs.len() {
            1 => format!("{mean:.2}"),
            _ => format!("{mean:.2} ± {deviation:.2}"),
        }
    };
    let row = |(_, runs): &(String, Vec<&Run>)| {
        let summary = &runs[0].summary;
        let names: Vec<String> = runs.iter().map(|run| run.name()).collect();
        let seeds: Vec<String> = runs
            .iter()
            .map(|run| run.summary.seed.to_string())
            .collect();
        context! {
            names => names.join(", "),
            method => runs[0].label(),
            seeds => seeds.join(", "),
            relus => grouped(summary.relu_count),
            share => percent(summary.relu_count as f64 / summary.relu_total as f64),
            validation => mean(runs, &|run| run.summary.result.val_top1),
            test => mean(runs, &|run| run.summary.result.test_top1),
            teacher => mean(runs, &|run| run.summary.teacher.test_top1),
        }
    };
    groups.iter().map(row).collect()
}

fn of_run(id: &str, run: &Run, protocols: &[Protocol]) -> Value {
    let summary = &run.summary;
    let sites = &run.model.layout.sites;
    let named = |index: usize| format!("{id}-s{index}");
    let searched = !run.is_teacher();
    let maps = sites.iter().enumerate().filter(|_| searched);
    let maps = maps.filter_map(|(i, site)| charts::map(&named(i), run, site));
    let polynomials = sites.iter().enumerate().filter(|_| searched);
    let polynomials = polynomials.filter_map(|(i, site)| charts::polynomials(&named(i), run, site));
    let speeds = summary.images_per_second.iter();
    let speeds: Vec<Value> = speeds
        .map(|(phase, speed)| context! { phase, speed => format!("{speed:.0}") })
        .collect();
    // A budget in ReLUs is told by their counts.
    let priced = summary.cost.as_deref().is_some_and(|cost| cost != "relu");
    let spent = summary.spent.as_ref().filter(|_| priced);
    let spent = spent.map(|s| format!("{} of {} ({})", short(s.cost), short(s.budget), s.given));
    let [train, held_out, test] = summary.images.map(grouped);
    // What engines compute; of what has no such form, what can be said without.
    let computed = match private::fold(&run.model) {
        Ok(folded) => cost::layers_of(&folded),
        Err(_) => (cost::layers(&run.model.network), run.counts()),
    };
    context! {
        id,
        name => run.name(),
        folder => run.path.display().to_string(),
        searched,
        label => run.label(),
        model => &summary.model,
        width => (summary.width != 1.0).then_some(summary.width),
        dataset => &summary.dataset,
        classes => &run.model.classes,
        images => context! { train, held_out, test },
        seed => summary.seed,
        adapter => &summary.adapter,
        preset => &summary.preset,
        version => &summary.version,
        seconds => duration(summary.wall_seconds),
        speeds,
        spent,
        relus => grouped(summary.relu_count),
        budget => (!priced).then(|| grouped(summary.relu_budget)),
        total => grouped(summary.relu_total),
        share => percent(summary.relu_count as f64 / summary.relu_total as f64),
        fewer => match summary.relu_count {
            0 => None,
            kept => Some(format!("{:.1}", summary.relu_total as f64 / kept as f64)),
        },
        test => percent(summary.result.test_top1),
        test5 => percent(summary.result.test_top5),
        validation => percent(summary.result.val_top1),
        teacher => percent(summary.teacher.test_top1),
        teacher5 => percent(summary.teacher.test_top5),
        teacher_validation => percent(summary.teacher.val_top1),
        difference => format!(
            "{:+.2}",
            100.0 * (summary.result.test_top1 - summary.teacher.test_top1)
        ),
        doubts => doubts(run),
        training => all_safe(charts::training(id, run)),
        kept => charts::kept(run),
        maps => all_safe(maps),
        polynomials => all_safe(polynomials),
        costs => protocols.iter().map(|p| price(&computed, p)).collect::<Vec<_>>(),
        command => command(run),
        config => &run.config,
    }
}

/// What speaks against taking the figures of a run at their face.
fn doubts(run: &Run) -> Vec<String> {
    let summary = &run.summary;
    let mut doubts = Vec::new();
    if summary.all_images {
        doubts.push(
            "All images were trained on, those that are called validation among them: their accuracy says \
             little, and nothing was chosen by it."
                .to_owned(),
        );
    } else if summary.teacher_split == TeacherSplit::Unknown {
        doubts.push(
            "The teacher does not say which images it was trained on. It may know those that were held \
             out here, so that the validation accuracies say little."
                .to_owned(),
        );
    }
    if let (Some(end), Some(spent)) = (&summary.search_end, &summary.spent)
        && (end.cost - spent.budget).abs() > 0.1 * spent.budget
    {
        doubts.push(format!(
            "The search ended with {} ReLUs, at {} where {} were allowed ({} on the validation images). \
             What stays beyond that was not searched for.",
            grouped(end.relu_count),
            short(end.cost),
            short(spent.budget),
            percent(end.val_top1),
        ));
    }
    match summary.start_agreement {
        Some(agreement) if agreement > 0.5 && summary.method != "random" => doubts.push(format!(
            "The final scores are ordered as those that the search began with (rank correlation \
             {agreement:.2}): the draw has decided what stays, more than the data."
        )),
        _ => {}
    }
    doubts
}

/// A row of the cost table.
fn price((layers, counts): &(Vec<Layer>, Vec<SiteCounts>), protocol: &Protocol) -> Value {
    let sum = |counts: &[SiteCounts], part: &dyn Fn(SiteCost) -> Price| -> Price {
        counts.iter().map(|c| part(protocol.site(*c))).sum()
    };
    let all_relu: Vec<SiteCounts> = counts
        .iter()
        .map(|c| SiteCounts {
            relus: c.elements,
            squares: 0,
            ..*c
        })
        .collect();
    let total = sum(counts, &|cost| cost.total());
    let teacher = sum(&all_relu, &|cost| cost.total());
    let network = cost::bill(protocol, layers, counts, Weights::Encrypted);
    let whole = network.into_iter().sum::<Parts>().total();
    let bytes = |price: Price| price.bytes.map(|bytes| format!("{}B", short(bytes)));
    let rounds = |price: Price| price.rounds.map(short);
    let time = |link: Link| link.milliseconds(total).map(milliseconds);
    context! {
        title => &protocol.title,
        source => &protocol.source,
        estimated => protocol.estimated.join(", "),
        relu => bytes(sum(counts, &|cost| cost.relu)),
        square => bytes(sum(counts, &|cost| cost.square)),
        truncation => bytes(sum(counts, &|cost| cost.truncation)),
        bytes => bytes(total),
        rounds => rounds(total),
        lan => time(Link::lan()),
        wan => time(Link::wan()),
        whole_bytes => bytes(whole),
        whole_rounds => rounds(whole),
        teacher_bytes => bytes(teacher),
        teacher_rounds => rounds(teacher),
    }
}

/// The command that makes the run again from its settings.
fn command(run: &Run) -> String {
    let command = match run.is_teacher() {
        true => "train",
        false => "search",
    };
    // Quoted for the shell, whatever the folder is called.
    let folder = run.path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,=%@".contains(c);
    let quote = |text: String| match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    };
    format!(
        "autorep {command} --config {} --out {}",
        quote(format!("{folder}/config.toml")),
        quote(format!("{folder}-again"))
    )
}

fn milliseconds(time: f64) -> String {
    match time {
        ms if ms < 1000.0 => format!("{} ms", short(ms)),
        ms => format!("{} s", short(ms / 1000.0)),
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(12_900), "12,900");
        assert_eq!(grouped(1_966_080), "1,966,080");
    }
}
