// A plugin on the AssemblyScript SDK of 2020: ABI 0.2.0, WASI under its older name, and a root
// context that is looked up by plugin_root_id while it is created. Its SDK gives the host the size of
// the configuration as the address for the size: an odd pointer, and never a configuration.

export * from "@solo-io/proxy-runtime/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  LogLevelValues,
  RootContext,
  log,
  registerRootContext,
  stream_context,
} from "@solo-io/proxy-runtime";

class Plugin extends RootContext {
  createContext(id: u32): Context {
    return new Request(id, this);
  }
}

class Request extends Context {
  constructor(id: u32, root: RootContext) {
    super(id, root);
  }

  onRequestHeaders(count: u32, endOfStream: bool): FilterHeadersStatusValues {
    const path = stream_context.headers.request.get(":path");
    log(LogLevelValues.info, "request for " + path);
    if (path == "/throw") {
      throw new Error("on purpose");
    }
    return FilterHeadersStatusValues.Continue;
  }

  onResponseHeaders(count: u32, endOfStream: bool): FilterHeadersStatusValues {
    stream_context.headers.response.add("x-as-old", "yes");
    return FilterHeadersStatusValues.Continue;
  }
}

// With and without a root id in the host's configuration.
registerRootContext((id: u32) => new Plugin(id), "");
registerRootContext((id: u32) => new Plugin(id), "named");
