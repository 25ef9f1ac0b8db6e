//! Which adapters there are, and which one is meant.

use super::GpuError;
use serde::Serialize;

/// What the user said about the adapter. Empty fields mean "the best there is".
///
/// The environment is honoured as wgpu users know it: `WGPU_BACKEND` lists backends,
/// `WGPU_ADAPTER_NAME` holds a part of the adapter's name, `WGPU_POWER_PREF` is `low` or
/// `high`. Options given on the command line win.
#[derive(Debug, Clone, Default)]
pub struct AdapterChoice {
    /// Part of the adapter's name (case does not matter), or its number in `autorep devices`.
    pub adapter: Option<String>,
    /// Comma-separated backends: `vulkan`, `metal`, `dx12`.
    pub backend: Option<String>,
}

/// The kinds of adapter that want different kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterClass {
    /// A Vulkan implementation that runs on the CPU.
    Software,
    /// A GPU that shares the host's memory.
    Integrated,
    /// A GPU with memory of its own, or one whose kind the driver does not tell.
    Discrete,
}

/// One adapter as `autorep devices` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct AdapterReport {
    /// Position in the list; `--adapter` takes it.
    pub index: usize,
    /// Name as the driver gives it.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Class, which decides the kernel preset.
    pub class: AdapterClass,
    /// Driver name and version.
    pub driver: String,
    /// Least and greatest number of lanes of a subgroup; `None` without subgroup operations.
    pub subgroup: Option<(u32, u32)>,
    /// Whether kernels can be timed on the device.
    pub timestamps: bool,
    /// Whether shaders may compute in half precision.
    pub f16: bool,
    /// Largest range of a buffer that a kernel can see, in bytes.
    pub max_binding_bytes: u64,
    /// Largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// Workgroup memory in bytes.
    pub workgroup_memory_bytes: u32,
    /// Invocations in a workgroup.
    pub workgroup_invocations: u32,
    /// Storage buffers that one kernel can bind.
    pub storage_buffers: u32,
}

impl AdapterReport {
    /// A GPU as most are, for plans without an adapter.
    pub fn typical() -> Self {
        let limits = portable_limits();
        // What wgpu makes of the 2 to 4 GiB that drivers allow.
        let most = i32::MAX as u64 / 4 * 4;
        Self {
            index: 0,
            name: "a GPU".to_owned(),
            backend: "none".to_owned(),
            class: AdapterClass::Discrete,
            driver: "none".to_owned(),
            subgroup: Some((32, 32)),
            timestamps: false,
            f16: false,
            max_binding_bytes: most,
            max_buffer_bytes: most,
            workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
            workgroup_invocations: limits.max_compute_invocations_per_workgroup,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
        }
    }
}

/// Limits that every kernel is written for (WebGPU's defaults): an adapter below them is
/// refused when the device is opened.
pub(super) fn portable_limits() -> wgpu::Limits {
    wgpu::Limits::default()
}

pub(super) fn class_of(info: &wgpu::AdapterInfo) -> AdapterClass {
    match info.device_type {
        wgpu::DeviceType::Cpu => AdapterClass::Software,
        wgpu::DeviceType::IntegratedGpu => AdapterClass::Integrated,
        _ => AdapterClass::Discrete,
    }
}

fn backends(choice: &AdapterChoice) -> Result<wgpu::Backends, GpuError> {
    let default = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    match &choice.backend {
        None => Ok(default.with_env() & default),
        Some(list) => {
            let mut asked = wgpu::Backends::empty();
            for name in list.split(',').map(str::trim) {
                asked |= match name.to_lowercase().as_str() {
                    "vulkan" | "vk" => wgpu::Backends::VULKAN,
                    "metal" | "mtl" => wgpu::Backends::METAL,
                    "dx12" | "d3d12" => wgpu::Backends::DX12,
                    _ => {
                        return Err(GpuError::NoAdapter(format!(
                            "--backend {list}: there is no backend `{name}`; choose among \
                             vulkan, metal, dx12"
                        )));
                    }
                };
            }
            Ok(asked)
        }
    }
}

/// All adapters of the chosen backends, best class first, in a fixed order.
pub(super) fn enumerate(choice: &AdapterChoice) -> Result<Vec<wgpu::Adapter>, GpuError> {
    let backends = backends(choice)?;
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    // Beyond what the system grants, drivers move memory to the host and crawl: better say so.
    descriptor.memory_budget_thresholds.for_resource_creation = Some(95);
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
    let low_power = matches!(
        wgpu::PowerPreference::from_env(),
        Some(wgpu::PowerPreference::LowPower)
    );
    adapters.sort_by_key(|adapter| match class_of(&adapter.get_info()) {
        AdapterClass::Discrete if low_power => 1,
        AdapterClass::Integrated if low_power => 0,
        AdapterClass::Discrete => 0,
        AdapterClass::Integrated => 1,
        AdapterClass::Software => 2,
    });
    Ok(adapters)
}

pub(super) fn report(index: usize, adapter: &wgpu::Adapter) -> AdapterReport {
    let (info, features, limits) = (adapter.get_info(), adapter.features(), adapter.limits());
    AdapterReport {
        index,
        backend: info.backend.to_string(),
        class: class_of(&info),
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_owned(),
        subgroup: features
            .contains(wgpu::Features::SUBGROUP)
            .then_some((info.subgroup_min_size, info.subgroup_max_size)),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        f16: features.contains(wgpu::Features::SHADER_F16),
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        workgroup_memory_bytes: limits.max_compute_workgroup_storage_size,
        workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        name: info.name,
    }
}

/// Lists the adapters of the chosen backends.
///
/// # Errors
/// [`GpuError::NoAdapter`] when the backend's name is not known.
pub fn list(choice: &AdapterChoice) -> Result<Vec<AdapterReport>, GpuError> {
    let adapters = enumerate(choice)?;
    Ok(adapters
        .iter()
        .enumerate()
        .map(|(index, adapter)| report(index, adapter))
        .collect())
}

/// That there is no adapter, and what to do.
pub fn none() -> GpuError {
    GpuError::NoAdapter(match hiding() {
        Some(variable) => format!(
            "no GPU adapter was found: the environment has {variable}, which may hide those there are; \
             unset it and try again"
        ),
        None => "no GPU adapter was found: install a Vulkan driver (a software one will do: \
                 `mesa-vulkan-drivers` on Debian, Ubuntu and Fedora, `vulkan-swrast` on Arch)"
            .to_owned(),
    })
}

/// A variable of the environment that keeps drivers from being found, with its value.
fn hiding() -> Option<String> {
    const HIDING: [&str; 5] = [
        "WGPU_BACKEND",
        "VK_DRIVER_FILES",
        "VK_ICD_FILENAMES",
        "VK_LOADER_DRIVERS_SELECT",
        "VK_LOADER_DRIVERS_DISABLE",
    ];
    let value = |name: &&str| Some(format!("{name}={}", std::env::var(name).ok()?));
    HIDING.iter().find_map(value)
}

/// The place of the adapter that `wanted` means, by number or by part of its name.
///
/// # Errors
/// [`GpuError::NoAdapter`] where there is no such adapter, with those there are.
pub fn find<'n>(names: impl IntoIterator<Item = &'n str>, wanted: &str) -> Result<usize, GpuError> {
    let names: Vec<&str> = names.into_iter().collect();
    let by_number = wanted.parse::<usize>().ok().filter(|&i| i < names.len());
    let by_name = || {
        let wanted = wanted.to_lowercase();
        names
            .iter()
            .position(|name| name.to_lowercase().contains(&wanted))
    };
    by_number.or_else(by_name).ok_or_else(|| {
        let list = names.iter().enumerate();
        let list: Vec<String> = list
            .map(|(index, name)| format!("{index}: {name}"))
            .collect();
        GpuError::NoAdapter(format!(
            "no adapter is called `{wanted}`; there are: {}",
            list.join(", ")
        ))
    })
}

/// The adapters that `choice` allows, the best first: the one that it names, by number or by part of
/// the name, or all.
pub(super) fn candidates(choice: &AdapterChoice) -> Result<Vec<wgpu::Adapter>, GpuError> {
    let mut adapters = enumerate(choice)?;
    if adapters.is_empty() {
        return Err(none());
    }
    let from_environment = std::env::var("WGPU_ADAPTER_NAME").ok();
    let Some(wanted) = choice.adapter.as_ref().or(from_environment.as_ref()) else {
        return Ok(adapters);
    };
    let names: Vec<String> = adapters
        .iter()
        .map(|adapter| adapter.get_info().name)
        .collect();
    let index = find(names.iter().map(String::as_str), wanted)?;
    Ok(vec![adapters.swap_remove(index)])
}

/// The first of some adapters that opens, as `open` does it. One that does not is passed over with a
/// warning: a GPU that others have for themselves, or whose driver is broken, is in the list still.
///
/// # Errors
/// That of the first, where none opens.
pub(super) fn first_that_opens<A, T>(
    adapters: impl IntoIterator<Item = A>,
    open: impl Fn(A) -> Result<T, GpuError>,
) -> Result<T, GpuError> {
    let mut faults: Vec<GpuError> = Vec::new();
    for adapter in adapters {
        match open(adapter) {
            Ok(opened) => {
                for fault in faults {
                    log::warn!("{fault}; the next adapter is taken, --adapter chooses another");
                }
                return Ok(opened);
            }
            Err(fault) => faults.push(fault),
        }
    }
    Err(faults.into_iter().next().unwrap_or_else(none))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(adapter: &str) -> Result<&str, GpuError> {
        match adapter.starts_with("broken") {
            false => Ok(adapter),
            true => Err(GpuError::Open {
                adapter: adapter.to_owned(),
                reason: "no".to_owned(),
            }),
        }
    }

    #[test]
    fn what_does_not_open_is_passed_over() {
        let first = |adapters: &[&'static str]| first_that_opens(adapters.iter().copied(), opens);
        assert_eq!(first(&["a", "b"]).unwrap(), "a");
        assert_eq!(first(&["broken 1", "broken 2", "b", "c"]).unwrap(), "b");
        let fault = first(&["broken 1", "broken 2"]).unwrap_err().to_string();
        assert!(fault.contains("broken 1"), "{fault}");
        assert!(matches!(first(&[]), Err(GpuError::NoAdapter(_))));
    }

    #[test]
    fn an_adapter_is_found_by_number_or_name() {
        let find = |wanted| find(["One GPU", "Another GPU", "7"], wanted);
        assert_eq!(find("1").unwrap(), 1);
        assert_eq!(find("another").unwrap(), 1);
        assert_eq!(find("gpu").unwrap(), 0);
        assert_eq!(find("7").unwrap(), 2, "no such number, but a name");
        let fault = find("third").unwrap_err().to_string();
        assert!(
            fault.contains("third") && fault.contains("1: Another GPU"),
            "{fault}"
        );
    }
}
