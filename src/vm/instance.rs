//! Live memory: an instance of a module with its store.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use once_cell::unsync::OnceCell;
use wasmtime::{
    FuncType, InstancePre, Store, TypedFunc, UpdateDeadline, Val, ValType, WasmParams, WasmResults,
};

use super::budget::{Allowance, Budget, CpuLimit};
use super::engine::{INTERRUPTED, Stack, engine};
use super::guest::{Data, GuestLinker};
use super::module::{Module, NoCode};
use super::outline::Function;
use super::ticker;
use super::trap::Trap;

/// A module with all its imports resolved: instances come from it cheaply, as
/// soon as its code is there.
pub struct Prepared<S: 'static> {
    linker: GuestLinker<S>,
    /// Stays in the cache for as long as it is in use.
    module: Arc<Module>,
    pre: OnceCell<InstancePre<Data<S>>>,
}

/// A linker for modules whose guests have a stack of this size.
pub fn linker<S: 'static>(stack: Stack) -> Result<GuestLinker<S>, String> {
    let mut linker = GuestLinker::new(engine(stack)?);
    // A module may import one function twice: native Go does.
    linker.allow_shadowing(true);
    Ok(linker)
}

/// Defines an import of any type whose i32 results are all `answer`, and
/// whose other results are the zero of their type.
///
/// Errors: a result of a type that has none.
pub fn define_constant<S: 'static>(
    linker: &mut GuestLinker<S>,
    module: &str,
    name: &str,
    ty: &Function<'_>,
    answer: i32,
) -> Result<(), String> {
    let params = ty.0.params().iter().map(engine_type);
    let results = ty.0.results().iter().map(engine_type);
    let (Some(params), Some(results)) = (params.collect(), results.collect()) else {
        return Err(format!("{module}.{name} has a type that no stub can have"));
    };
    let (params, results): (Vec<_>, Vec<_>) = (params, results);
    let ty = FuncType::new(linker.engine(), params, results);
    let mut answers = Vec::new();
    for result in ty.results() {
        answers.push(match result {
            ValType::I32 => Val::I32(answer),
            other => Val::default_for_ty(&other)
                .ok_or_else(|| format!("{module}.{name} gives what no stub can: {other}"))?,
        });
    }
    linker
        .func_new(module, name, ty, move |_, _, results| {
            results.clone_from_slice(&answers);
            Ok(())
        })
        .map(drop)
        .map_err(|error| error.to_string())
}

/// A type of the binary format as the engine has it, if it can stand in the
/// signature of a stub.
fn engine_type(ty: &wasmparser::ValType) -> Option<ValType> {
    use wasmparser::ValType as Binary;
    Some(match *ty {
        Binary::I32 => ValType::I32,
        Binary::I64 => ValType::I64,
        Binary::F32 => ValType::F32,
        Binary::F64 => ValType::F64,
        Binary::V128 => ValType::V128,
        Binary::FUNCREF => ValType::FUNCREF,
        Binary::EXTERNREF => ValType::EXTERNREF,
        Binary::Ref(_) => return None,
    })
}

impl<S: 'static> Prepared<S> {
    /// Errors: imports that `linker` does not have, or that are of another
    /// type; code that cannot be compiled.
    pub fn new(linker: GuestLinker<S>, module: Arc<Module>) -> Result<Self, String> {
        let prepared = Prepared {
            linker,
            module,
            pre: OnceCell::new(),
        };
        match prepared.pre() {
            Err(NoCode::Ever(why)) => Err(why),
            Ok(_) | Err(NoCode::Yet) => Ok(prepared),
        }
    }

    fn pre(&self) -> Result<&InstancePre<Data<S>>, NoCode> {
        self.pre.get_or_try_init(|| {
            let pre = self.linker.instantiate_pre(self.module.code()?);
            pre.map_err(|error| NoCode::Ever(format!("{error:#}")))
        })
    }

    /// Errors: why no instance can be made of it, now or ever.
    pub fn ready(&self) -> Result<(), NoCode> {
        self.pre().map(drop)
    }
}

/// A function that the guest exports; cheap to copy, valid for its instance.
pub struct Callback<P, R>(TypedFunc<P, R>);

impl<P, R> Clone for Callback<P, R> {
    fn clone(&self) -> Self {
        Callback(self.0.clone())
    }
}

pub struct Instance<S: 'static> {
    store: Store<Data<S>>,
    inner: wasmtime::Instance,
}

impl<S: 'static> Instance<S> {
    /// Instantiates; a wasm start section runs here.
    ///
    /// Errors: the trap, and the state that was given.
    pub fn new(prepared: &Prepared<S>, state: S, allowance: Allowance) -> Result<Self, (Trap, S)> {
        let pre = match prepared.pre() {
            Ok(pre) => pre,
            Err(why) => return Err((Trap::of_host(why.to_string()), state)),
        };
        if INTERRUPTED && let Err(why) = ticker::start() {
            return Err((Trap::of_host(why), state));
        }
        let data = Data::new(state, Budget::new(allowance));
        let mut store = Store::new(pre.module().engine(), data);
        store.limiter(|data| &mut data.budget);
        store.epoch_deadline_callback(|mut store| {
            store
                .data_mut()
                .budget
                .check_time()
                .map(UpdateDeadline::Continue)
        });

        if let Err(trap) = begin(&mut store) {
            return Err((trap, store.into_data().state));
        }
        let made = catch_unwind(AssertUnwindSafe(|| pre.instantiate(&mut store)));
        let inner = match made {
            Ok(Ok(inner)) => inner,
            Ok(Err(error)) => return Err((trap(error, &store), store.into_data().state)),
            Err(panic) => return Err((Trap::from_panic(panic), store.into_data().state)),
        };
        store.data_mut().memory = inner.get_memory(&mut store, "memory");
        Ok(Instance { store, inner })
    }

    /// Allowance the CPU time of calls from now on.
    pub fn limit_cpu(&mut self, limit: CpuLimit) {
        self.store.data_mut().budget.limit_cpu(limit);
    }

    pub fn state(&mut self) -> &mut S {
        &mut self.store.data_mut().state
    }

    /// Bytes of its linear memory.
    pub fn memory_size(&mut self) -> usize {
        let memory = self.store.data().memory;
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Ends the instance, frees its memory and gives the state back.
    pub fn into_state(self) -> S {
        self.store.into_data().state
    }

    /// Names the exports that host functions may get memory from; the first
    /// that is there does.
    pub fn set_allocator(&mut self, names: &[&str]) {
        let store = &mut self.store;
        let allocator = names
            .iter()
            .find_map(|name| self.inner.get_typed_func(&mut *store, name).ok());
        store.data_mut().allocator = allocator.map(Rc::new);
    }

    /// The export of this name and exactly this type.
    pub fn callback<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
    ) -> Option<Callback<P, R>> {
        let function = self.inner.get_typed_func(&mut self.store, name).ok()?;
        Some(Callback(function))
    }

    /// Calls into the guest.
    ///
    /// Errors: the instance is lost; it must not be called again.
    pub fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        callback: &Callback<P, R>,
        params: P,
    ) -> Result<R, Trap> {
        let store = &mut self.store;
        begin(store)?;
        match catch_unwind(AssertUnwindSafe(|| callback.0.call(&mut *store, params))) {
            Ok(Ok(results)) => Ok(results),
            Ok(Err(error)) => Err(trap(error, store)),
            Err(panic) => Err(Trap::from_panic(panic)),
        }
    }
}

#[cold]
fn trap<S>(error: wasmtime::Error, store: &Store<Data<S>>) -> Trap {
    let trap = Trap::from(error);
    match store.data().budget.refused() {
        Some(what) => trap.behind_refusal(what),
        None => trap,
    }
}

/// The CPU time of a call counts from here: of all that it comes to, nested
/// calls among them.
#[inline]
fn begin<S: 'static>(store: &mut Store<Data<S>>) -> Result<(), Trap> {
    if !INTERRUPTED {
        return Ok(());
    }
    store.data_mut().budget.begin();
    // The next tick; before the ticker hears of it.
    store.set_epoch_deadline(1);
    ticker::call().map_err(Trap::of_host)
}
