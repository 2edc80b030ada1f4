"""One training step on any number of processes; the only file that knows of Accelerate."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from unmask.core import Batch, Context, Method, Phase, to_device
from unmask.train.memory import keep_freed_memory
from unmask.train.optimisers import make_optimiser
from unmask.train.plan import Plan

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)  # gathered on the first process
EVERYWHERE = StateDictOptions(full_state_dict=True)


def native_half(device: torch.device) -> str | None:
    """ "bf16" where the device computes it natively, else None, which is full precision."""
    native = torch.cuda.is_bf16_supported(False) if device.type == "cuda" else torch.cpu._is_amx_tile_supported()
    return "bf16" if native else None


def choose_precision(precision: str, device: torch.device) -> str:
    """ "auto" is bf16 where the device computes it natively, else fp32."""
    if precision not in ("auto", "bf16", "fp32"):
        raise ValueError(f"precision {precision!r} is unknown; choose auto, bf16 or fp32")
    if precision != "auto":
        return precision
    return native_half(device) or "fp32"


def choose_device(device: str) -> torch.device:
    """ "auto" takes an accelerator if there is one. Raises ValueError where the asked one is missing."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if device == "auto":
        return found or torch.device("cpu")
    try:
        asked = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device {device!r} is unknown; use auto, cpu, cuda or mps") from None
    if asked.type != "cpu" and (found is None or found.type != asked.type):
        raise ValueError(f"device {device!r} is not there; found {found or 'no accelerator'}, use --device cpu or auto")
    return asked


class Engine:
    """The method, one optimiser per phase, and how a step updates them."""

    def __init__(self, method: Method, plan: Plan, device: torch.device):
        phases = list(method.phases())
        keep_freed_memory()
        self.accelerator = Accelerator(
            cpu=device.type == "cpu",
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=len(phases) > 1, broadcast_buffers=False)
            ],
        )
        self.plan = plan
        self.phases = phases
        names = {id(parameter): name for name, parameter in method.named_parameters()}
        self._names = [[names[id(p)] for p in phase.parameters] for phase in phases]
        self.model = self.accelerator.prepare(method.to(self.accelerator.device))
        by_name = dict(self.method.named_parameters())
        self.phases = [
            replace(phase, parameters=tuple(by_name[name] for name in wanted))
            for phase, wanted in zip(phases, self._names, strict=True)
        ]
        self.optimisers = [make_optimiser(phase, plan) for phase in self.phases]
        self.average = {n: p.detach().clone() for n, p in self.method.named_parameters()} if plan.ema else None

    @property
    def method(self) -> Method:
        """The method without the wrapping of the processes."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def processes(self) -> int:
        return self.accelerator.num_processes

    @property
    def process(self) -> int:
        return self.accelerator.process_index

    def step(self, batches: list[Batch], contexts: list[Context], lr: float) -> tuple[dict[str, Tensor], float]:
        """One update per phase. Returns the terms, averaged over batches and processes, and the gradient norm.

        Where the gradient is not finite on any process, no process updates.
        """
        terms: dict[str, Tensor] = {}
        norm = 0.0
        for number, (phase, optimiser) in enumerate(zip(self.phases, self.optimisers, strict=True)):
            for group in optimiser.param_groups:
                group["lr"] = lr * phase.rate
            optimiser.zero_grad(set_to_none=True)
            for last, batch, context in self._micro(batches, contexts, phase):
                with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                    with torch.autocast(self.accelerator.device.type, torch.bfloat16, self.plan.precision == "bf16"):
                        losses = self.model(batch, context)
                    self._backward(sum(losses.values()) / len(batches), phase)  # type: ignore[arg-type]
                for name, value in losses.items():
                    key = name if len(self.phases) == 1 else f"{phase.name}/{name}"
                    terms[key] = terms.get(key, 0) + value.detach() / len(batches)
            if len(self.phases) > 1:
                self._average_gradients(phase)
            size = float(torch.nn.utils.clip_grad_norm_(phase.parameters, self.plan.clip or torch.inf))
            norm = max(norm, size) if number else size
            if not torch.isfinite(torch.tensor(size)):
                optimiser.zero_grad(set_to_none=True)
                return self._mean(terms), size
            optimiser.step()
        if self.average is not None:
            self._update_average()
        return self._mean(terms), norm

    def _micro(
        self, batches: list[Batch], contexts: list[Context], phase: Phase
    ) -> Iterator[tuple[bool, Batch, Context]]:
        for i, (batch, context) in enumerate(zip(batches, contexts, strict=True)):
            named = Context(**{**context.__dict__, "phase": phase.name})
            yield i + 1 == len(batches), to_device(batch, self.accelerator.device), named

    def _backward(self, loss: Tensor, phase: Phase) -> None:
        if len(self.phases) == 1:
            self.accelerator.backward(loss)
            return
        for parameter, gradient in zip(
            phase.parameters, torch.autograd.grad(loss, phase.parameters, allow_unused=True), strict=True
        ):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient

    def _average_gradients(self, phase: Phase) -> None:
        """One phase's gradients averaged over processes: DDP only averages those of a plain backward pass."""
        if self.processes == 1:
            return
        for parameter in phase.parameters:
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= self.processes

    @torch.no_grad()
    def _update_average(self) -> None:
        for name, parameter in self.method.named_parameters():
            self.average[name].lerp_(parameter.detach(), 1 - (self.plan.ema or 0.0))  # type: ignore[index]

    def _mean(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.processes == 1:
            return terms
        return {name: self.accelerator.reduce(value, "mean") for name, value in terms.items()}

    def anywhere(self, flag: bool) -> bool:
        """Whether the flag is set on any process."""
        if self.processes == 1:
            return flag
        return bool(self.accelerator.reduce(torch.tensor(float(flag), device=self.accelerator.device), "sum") > 0)

    def weights(self) -> dict[str, Tensor]:
        """The method's state, gathered from all processes."""
        return dict(get_model_state_dict(self.model, options=WHOLE))  # type: ignore[arg-type]

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """The whole state as named tensors, gathered from all processes: method, optimiser per phase, average."""
        sections = {"method": self.weights()}
        for phase, optimiser in zip(self.phases, self.optimisers, strict=True):
            gathered: Any = get_optimizer_state_dict(self.model, optimiser, options=WHOLE)
            state = gathered.get("state", {})  # the whole state is given to the first process only
            sections[f"optimizer-{phase.name}"] = {
                f"{name}|{key}": torch.as_tensor(value)
                for name, entries in state.items()
                for key, value in entries.items()
            }
        if self.average is not None:
            sections["ema"] = {name: value.cpu() for name, value in self.average.items()}
        return sections

    def restore(self, sections: dict[str, dict[str, Tensor]]) -> None:
        """Puts a state from `tensors` back."""
        if self.processes == 1:
            self.method.load_state_dict(sections["method"])
        else:
            whole: Any = sections["method"]
            set_model_state_dict(self.model, whole, options=EVERYWHERE)
        for phase, optimiser in zip(self.phases, self.optimisers, strict=True):
            state: dict[str, dict[str, Tensor]] = {}
            for name, value in sections[f"optimizer-{phase.name}"].items():
                parameter, key = name.rsplit("|", 1)
                state.setdefault(parameter, {})[key] = value
            if state:
                whole = get_optimizer_state_dict(self.model, optimiser, options=EVERYWHERE)
                whole["state"] = state  # type: ignore[assignment]
                set_optimizer_state_dict(self.model, optimiser, whole, options=EVERYWHERE)
        if self.average is not None:
            for name, value in sections["ema"].items():
                self.average[name].copy_(value)
