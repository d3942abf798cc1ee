"""Kernels that start in a moment: forked from one warm process that has imported everything.

Starting Python, IPython and this library is nearly all that a headless notebook costs. The warm process does
it once. It is clean: one thread, no event loop, no sockets of a kernel, no random state; each kernel is a
fork of it, made new by ``child`` before it runs anything. It belongs to the process that started it and ends
with it; it listens nowhere, its only way in is a socket that it inherited.

Two ways to use it:

* ``with WarmKernels():`` around runs under the engine ``runbook``; a fleet's runner does this.
* Under unchanged papermill or Jupyter, as the kernel provisioner ``runbook-warm``: named in a kernel's
  specification (``metadata.kernel_provisioner.provisioner_name``), or for all kernels that name none by the
  environment variable ``JUPYTER_DEFAULT_PROVISIONER_NAME``.

Where a kernel cannot be forked (another system than Linux, another Python, other start-up variables than the
warm process has, threads in it) an ordinary kernel is started and one line in the log says why.
"""

from runbook_lib.kernels.pool import WarmKernels

__all__ = ["WarmKernels"]
