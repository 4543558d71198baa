// A plugin on the AssemblyScript SDK that is kept up: configuration, headers, the log, and
// abort() by an exception, which ends in proc_exit.

export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  LogLevelValues,
  RootContext,
  log,
  registerRootContext,
  stream_context,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";

class Plugin extends RootContext {
  onConfigure(size: u32): bool {
    super.onConfigure(size);
    log(LogLevelValues.info, "configured with '" + this.getConfiguration() + "'");
    return true;
  }

  createContext(id: u32): Context {
    return new Request(id, this);
  }
}

class Request extends Context {
  constructor(id: u32, root: Plugin) {
    super(id, root);
  }

  onRequestHeaders(count: u32, endOfStream: bool): FilterHeadersStatusValues {
    const path = stream_context.headers.request.get(":path");
    log(LogLevelValues.info, "request for " + path);
    if (path == "/throw") {
      throw new Error("on purpose");
    }
    // Prints through WASI.
    console.log("printed by AssemblyScript");
    stream_context.headers.request.add("x-as-request", count > 0 ? "counted" : "not counted");
    return FilterHeadersStatusValues.Continue;
  }

  onResponseHeaders(count: u32, endOfStream: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("x-as", this.root_context.getConfiguration());
    return FilterHeadersStatusValues.Continue;
  }

  onLog(): void {
    log(LogLevelValues.info, "logged by AssemblyScript");
  }
}

registerRootContext((id: u32) => new Plugin(id), "");
