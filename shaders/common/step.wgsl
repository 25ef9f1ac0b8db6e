{# Gives      struct Step, which src/kernels/step.rs mirrors.
   Asks for   nothing
   Used by    augment, batch_norm, dapa, dropout, indicator, loss, metrics, optimizer, squares,
              threshold #}
// The scalars of one step; src/kernels/step.rs documents each.
struct Step {
    rate: vec4f,
    decay: vec4f,
    step: u32,
    seed: u32,
    epoch: u32,
    first: u32,
    count: u32,
    augment: u32,
    refit: u32,
    budget: f32,
    beta1: f32,
    beta2: f32,
    correction1: f32,
    correction2: f32,
    epsilon: f32,
    clip: f32,
    score_rate: f32,
    threshold: f32,
    penalty: f32,
    ce_weight: f32,
    kd_weight: f32,
    temperature: f32,
    smoothing: f32,
    momentum: f32,
    lookahead: f32,
    averaging: f32,
}
