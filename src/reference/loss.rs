//! Twin of `shaders/loss.wgsl`.

/// Weights of the terms.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    /// Weight of cross-entropy.
    pub ce: f64,
    /// Weight of distillation.
    pub kd: f64,
    /// Distillation temperature T.
    pub temperature: f64,
    /// Label smoothing ε.
    pub smoothing: f64,
}

/// What is recorded of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Cross-entropy with the smoothed label.
    pub ce: f64,
    /// T² times the divergence from the teacher; 0 without one.
    pub kd: f64,
    /// Whether no class outranks the label.
    pub top1: bool,
    /// Whether fewer than five classes outrank the label.
    pub top5: bool,
}

/// `log softmax(z/T)`.
pub fn log_softmax(z: &[f64], temperature: f64) -> Vec<f64> {
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scaled: Vec<f64> = z.iter().map(|z| (z - largest) / temperature).collect();
    let log_sum = scaled.iter().map(|z| z.exp()).sum::<f64>().ln();
    scaled.iter().map(|z| z - log_sum).collect()
}

/// The smoothed label `t = (1 − ε)·onehot + ε/K`.
fn targets(classes: usize, label: usize, smoothing: f64) -> Vec<f64> {
    let mut targets = vec![smoothing / classes as f64; classes];
    targets[label] += 1.0 - smoothing;
    targets
}

/// Both terms and the hits of one sample with logits `z`.
pub fn sample(z: &[f64], teacher: Option<&[f64]>, label: usize, weights: &Weights) -> Sample {
    let log_p = log_softmax(z, 1.0);
    let ce = -targets(z.len(), label, weights.smoothing)
        .iter()
        .zip(&log_p)
        .map(|(t, log_p)| t * log_p)
        .sum::<f64>();

    let t = weights.temperature;
    let kd = teacher.map_or(0.0, |q| {
        let (log_teacher, log_student) = (log_softmax(q, t), log_softmax(z, t));
        let divergence: f64 = log_teacher
            .iter()
            .zip(&log_student)
            .map(|(log_q, log_z)| log_q.exp() * (log_q - log_z))
            .sum();
        t * t * divergence
    });

    let outranks =
        |&(k, &other): &(usize, &f64)| other > z[label] || (other == z[label] && k < label);
    let rank = z.iter().enumerate().filter(outranks).count();
    let finite = z.iter().all(|z| z.is_finite());
    Sample {
        ce,
        kd,
        top1: finite && rank < 1,
        top5: finite && rank < 5,
    }
}

/// `d(ce_weight·CE + kd_weight·KD)/dz` of one sample, not yet divided by the batch.
pub fn gradient(z: &[f64], teacher: Option<&[f64]>, label: usize, weights: &Weights) -> Vec<f64> {
    let t = weights.temperature;
    let wanted = targets(z.len(), label, weights.smoothing);
    let log_p = log_softmax(z, 1.0);
    let mut dz: Vec<f64> = (0..z.len())
        .map(|k| weights.ce * (log_p[k].exp() - wanted[k]))
        .collect();
    if let Some(q) = teacher {
        let (log_teacher, log_student) = (log_softmax(q, t), log_softmax(z, t));
        for k in 0..z.len() {
            dz[k] += weights.kd * t * (log_student[k].exp() - log_teacher[k].exp());
        }
    }
    dz
}
