{# Gives      quadratic_fit(u, variance) and line_fit(u, variance): coefficients (c₀, c₁, c₂, mark).
   Asks for   official, scale_x2, variance_floor
   Used by    dapa, squares #}
// The least-squares fits of ReLU under x ~ N(u, s²); with a = u/s, φ and Φ the density and
// distribution of the standard normal:
//   quadratic  c₂ = φ(a)/(2s),  c₁ = Φ(a) − a·φ(a),  c₀ = (u² + s²)·φ(a)/(2s)
//   line       c₁ = Φ(a),  c₀ = s·φ(a)
// Their fourth component is that of a channel's coefficients: 1 marks a channel without a square.
fn density(a: f32) -> f32 {
    return 0.3989422804 * exp(-0.5 * a * a);
}

// Φ by Abramowitz and Stegun 26.2.17: absolute error below 1e-7.
fn distribution(a: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.2316419 * abs(a));
    let series = ((((1.330274429 * t - 1.821255978) * t + 1.781477937) * t - 0.356563782) * t
        + 0.319381530) * t;
    let tail = density(a) * series;
    return select(tail, 1.0 - tail, a >= 0.0);
}

{% if official %}
// The published code puts the variance, at least ½, where the formula has s.
fn spread(variance: f32) -> f32 {
    return max(variance, 0.5);
}
{% else %}
fn spread(variance: f32) -> f32 {
    return sqrt(max(variance, {{ variance_floor }}));
}
{% endif %}

fn quadratic_fit(u: f32, variance: f32) -> vec4f {
    let s = spread(variance);
    let a = u / s;
    let f = density(a);
    let c2 = f / (2.0 * s);
    let c = vec4f((u * u + s * s) * c2, distribution(a) - a * f, c2, 0.0);
    {% if official %}
    return c * vec4f(0.2, 1.0, 0.1 * {{ scale_x2 }}, 0.0);
    {% else %}
    return c;
    {% endif %}
}

fn line_fit(u: f32, variance: f32) -> vec4f {
    let s = spread(variance);
    let a = u / s;
    let c = vec4f(s * density(a), distribution(a), 0.0, 1.0);
    {% if official %}
    return c * vec4f(0.2, 1.0, 0.0, 1.0);
    {% else %}
    return c;
    {% endif %}
}
