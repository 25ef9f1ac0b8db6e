//! The update at the end of a step: parameters follow their gradients, scores theirs, masks the
//! scores; averages are taken, and the step is put on record.

use super::account::Pass;
use super::assembler::Assembler;
use super::carried::{
    Carried, FIRST_MOMENT, LEDGER, SCORE_FIRST_MOMENT, SCORE_SECOND_MOMENT, SECOND_MOMENT, SLOW,
    SQUARES,
};
use super::scoring::{Scoring, SquareScoring};
use super::spec::TrainSpec;
use super::wiring::Wiring;
use crate::gpu::{Buffer, GpuError, View};
use crate::graph::Gradients;
use crate::graph::layout::Site;
use crate::kernels::indicator::Rule;
use crate::kernels::metrics::Prices;
use crate::kernels::{Compiler, indicator, metrics, optimizer, squares, threshold};
use crate::settings::Optimizer;

/// What the kernels of a search share.
struct Searched<'a> {
    search: &'a Scoring,
    /// ReLUs, then squares, by site.
    counts: View,
    /// Site and elements of each block of scores.
    blocks: View,
    ledger: Vec<View>,
    /// Groups of squares, where there are any.
    groups: Option<View>,
}

/// An update under construction.
pub(super) struct Update<'a> {
    compiler: &'a Compiler<'a>,
    spec: &'a TrainSpec<'a>,
    wiring: &'a Wiring,
    carried: &'a Carried,
    /// The gradients of the whole batch.
    gradients: &'a Gradients,
    step: Assembler<'a>,
}

impl<'a> Update<'a> {
    /// Compiles the update of `spec`.
    pub(super) fn compile(
        compiler: &'a Compiler,
        spec: &'a TrainSpec,
        wiring: &'a Wiring,
        carried: &'a Carried,
        gradients: &'a Gradients,
    ) -> Result<Assembler<'a>, GpuError> {
        let mut update = Self {
            compiler,
            spec,
            wiring,
            carried,
            gradients,
            step: Assembler::new(compiler.gpu),
        };
        let norm = update.parameters()?;
        let counts = match spec.search {
            Some(search) => update.scores(search)?,
            None => {
                update.hold_lines()?;
                Vec::new()
            }
        };
        update.average()?;
        update.record(norm, counts)?;
        Ok(update.step)
    }

    fn scalars(&self) -> View {
        self.wiring.step.view()
    }

    fn parameters_view(&self) -> View {
        self.spec.student.arenas.params.view()
    }

    /// What training carries under these names, of what there is.
    fn carried(&self, names: &[&str]) -> Vec<View> {
        let buffers = names.iter().filter_map(|name| self.carried.get(name));
        buffers.map(Buffer::view).collect()
    }

    /// The optimiser, behind the norm by which it clips, which is returned.
    fn parameters(&mut self) -> Result<View, GpuError> {
        let (compiler, gpu) = (self.compiler, self.compiler.gpu);
        let layout = self.spec.student.layout;
        let length = layout.params.len;
        let norm = gpu.allocate("gradient norm", 16)?.view();
        let kinds = gpu.upload("parameter groups", &layout.kind_table())?.view();
        let (parameters, gradients) = (self.parameters_view(), self.gradients.params.view());

        let recipe = optimizer::gradient_norm(compiler, length)?;
        let arguments = [
            self.scalars(),
            gradients.clone(),
            norm.clone(),
            kinds.clone(),
        ];
        self.step.recipe(Pass::Update, recipe, &arguments, "norm")?;

        let recipe = match self.spec.optimizer {
            Optimizer::Sgd => optimizer::sgd(compiler, length, true)?,
            Optimizer::Adam => optimizer::adam(compiler, length, false)?,
            Optimizer::Adamw => optimizer::adam(compiler, length, true)?,
        };
        let mut arguments = vec![self.scalars(), parameters.clone(), gradients];
        arguments.extend(self.carried(&[FIRST_MOMENT, SECOND_MOMENT]));
        arguments.extend([kinds, norm.clone()]);
        self.step
            .recipe(Pass::Update, recipe, &arguments, "parameters")?;

        if let Some(slow) = self.carried.get(SLOW) {
            let recipe = optimizer::lookahead(compiler, length)?;
            let arguments = [self.scalars(), parameters, slow.view()];
            self.step
                .recipe(Pass::Update, recipe, &arguments, "slow weights")?;
        }
        Ok(norm)
    }

    /// Scores of ReLUs follow the gradients of the masks, and masks the scores; the same for
    /// squares where they have a price. Returns what the record reads: how many there are, and
    /// the ledger.
    fn scores(&mut self, search: &Scoring) -> Result<Vec<View>, GpuError> {
        let gpu = self.compiler.gpu;
        let layout = self.spec.student.layout;
        let sites = self.spec.counted_sites();
        let together = |site: &Site| {
            let mut groups = search.groups.iter();
            let own = groups.find(|group| group[0] as usize == site.offset);
            own.map_or(1, |group| group[1] as usize)
        };
        let searched = Searched {
            search,
            counts: gpu.upload("counts", &vec![0u32; 2 * sites.max(1)])?.view(),
            blocks: gpu.upload("blocks", &layout.block_table(together))?.view(),
            ledger: self.carried(&[LEDGER]),
            groups: match &search.squares {
                Some(squares) => Some(gpu.upload("groups of squares", &squares.groups)?.view()),
                None => None,
            },
        };
        self.share_among_groups(search)?;
        self.measure(&searched)?;
        if search.rule.shares_threshold() {
            self.select(&searched)?;
        }
        let mut tally = vec![searched.counts];
        tally.extend(searched.ledger);
        Ok(tally)
    }

    /// Elements that are kept or dropped together share the mean of their gradients.
    fn share_among_groups(&mut self, search: &Scoring) -> Result<(), GpuError> {
        let groups = &search.groups;
        if groups.is_empty() || search.rule == Rule::Fixed {
            return Ok(());
        }
        let table = self.compiler.gpu.upload("groups", groups)?.view();
        let elements = groups.iter().map(|g| g[1] as usize).sum();
        let recipe = indicator::share(self.compiler, groups.len(), elements)?;
        let arguments = [table, self.gradients.mask.view()];
        self.step.recipe(Pass::Update, recipe, &arguments, "scores")
    }

    /// Moves all scores; rules that share no threshold set masks and squares, too.
    fn measure(&mut self, searched: &Searched) -> Result<(), GpuError> {
        let (search, compiler) = (searched.search, self.compiler);
        let rule = search.rule;
        if rule == Rule::Fixed {
            return Ok(());
        }
        let (layout, arenas) = (self.spec.student.layout, self.spec.student.arenas);
        let mut arguments = vec![
            self.scalars(),
            arenas.scores.view(),
            self.gradients.mask.view(),
        ];
        arguments.extend(self.carried(&[SCORE_FIRST_MOMENT, SCORE_SECOND_MOMENT]));
        arguments.push(searched.blocks.clone());
        arguments.extend(searched.ledger.clone());
        if !rule.shares_threshold() {
            arguments.extend([arenas.mask.view(), searched.counts.clone()]);
        }
        let recipe = indicator::update(compiler, layout.elements, rule)?;
        self.step
            .recipe(Pass::Update, recipe, &arguments, "scores")?;
        let Some(squares) = &search.squares else {
            return Ok(());
        };
        let mut arguments = vec![
            self.scalars(),
            self.parameters_view(),
            self.gradients.params.view(),
            arenas.state.view(),
            arenas.mask.view(),
        ];
        arguments.extend(searched.groups.clone());
        arguments.extend(self.carried(&[SQUARES]));
        arguments.extend(searched.ledger.clone());
        let search = self.square_search(squares, rule);
        let recipe = match rule.shares_threshold() {
            true => squares::measure(compiler, &search)?,
            false => {
                arguments.push(searched.counts.clone());
                squares::update(compiler, &search)?
            }
        };
        self.step
            .recipe(Pass::Update, recipe, &arguments, "squares")
    }

    fn square_search<'s>(&self, squares: &'s SquareScoring, rule: Rule) -> squares::Search<'s> {
        squares::Search {
            groups: &squares.groups,
            sites: self.spec.counted_sites(),
            fit: squares.fit,
            rule,
        }
    }

    /// Sets masks and squares by the threshold that all scores share.
    fn select(&mut self, searched: &Searched) -> Result<(), GpuError> {
        let (search, compiler) = (searched.search, self.compiler);
        let (layout, arenas) = (self.spec.student.layout, self.spec.student.arenas);
        let sites = self.spec.counted_sites();
        let zeros = |what, words| compiler.gpu.upload(what, &vec![0u32; words]);
        let cut = zeros("cut", threshold::cut_words(sites))?.view();
        let histogram = zeros("histogram", threshold::histogram_words(sites))?.view();
        let mut arguments = vec![
            self.scalars(),
            arenas.scores.view(),
            arenas.mask.view(),
            searched.blocks.clone(),
            searched.counts.clone(),
            cut.clone(),
            histogram,
        ];
        let groups: &[squares::Group] = match &search.squares {
            Some(squares) => {
                arguments.extend(self.carried(&[SQUARES]));
                arguments.extend(searched.groups.clone());
                &squares.groups
            }
            None => &[],
        };
        let recipe = threshold::select(compiler, layout.elements, sites, search.prices, groups)?;
        self.step
            .recipe(Pass::Update, recipe, &arguments, "threshold")?;
        let Some(squares) = &search.squares else {
            return Ok(());
        };
        let mut arguments = vec![
            self.parameters_view(),
            arenas.state.view(),
            arenas.mask.view(),
        ];
        arguments.extend(searched.groups.clone());
        arguments.extend(self.carried(&[SQUARES]));
        arguments.extend([cut, searched.counts.clone()]);
        let recipe = squares::apply(compiler, &self.square_search(squares, search.rule))?;
        self.step
            .recipe(Pass::Update, recipe, &arguments, "squares")
    }

    /// Channels that are lines stay lines.
    fn hold_lines(&mut self) -> Result<(), GpuError> {
        let lines = self.spec.lines;
        if lines.is_empty() {
            return Ok(());
        }
        let table = self.compiler.gpu.upload("groups of squares", lines)?.view();
        let recipe = squares::hold(self.compiler, lines)?;
        let arguments = [self.parameters_view(), table];
        self.step
            .recipe(Pass::Update, recipe, &arguments, "squares")
    }

    /// Averaged weights and statistics follow those that are trained.
    fn average(&mut self) -> Result<(), GpuError> {
        let Some(averaged) = &self.carried.averaged else {
            return Ok(());
        };
        let (layout, arenas) = (self.spec.student.layout, self.spec.student.arenas);
        for (from, to, len) in [
            (&arenas.params, &averaged.params, layout.params.len),
            (&arenas.state, &averaged.state, layout.state.len),
        ] {
            let recipe = optimizer::average(self.compiler, len)?;
            let arguments = [self.scalars(), from.view(), to.view()];
            self.step
                .recipe(Pass::Update, recipe, &arguments, "averaged weights")?;
        }
        Ok(())
    }

    /// Adds the step's record to the ring that the host reads now and then.
    fn record(&mut self, norm: View, tally: Vec<View>) -> Result<(), GpuError> {
        let (spec, wiring) = (self.spec, self.wiring);
        let mut arguments = vec![
            self.scalars(),
            wiring.samples.view(),
            wiring.ring.view(),
            norm,
            wiring.ports.health.clone(),
        ];
        arguments.extend(tally);
        let rows = wiring.sample_rows * spec.micro_batches;
        let prices = spec.search.map_or(Prices::COUNT, |search| search.prices);
        let recipe = metrics::record(self.compiler, rows, true, spec.counted_sites(), prices)?;
        self.step.recipe(Pass::Update, recipe, &arguments, "record")
    }
}
