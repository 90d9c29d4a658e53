"""Slips in modules over whole sequences, masks and gates; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_sequencer"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "recurrent/arrays.py": [
        ("gated", "return b if a is None else a", "return a"),
        ("recurrent", "return a + b", "return a - b"),
        ("recurrent", "return a + b", "return b"),
        ("windows", "a, copy=True) if _is(a)", "a, copy=False) if _is(a)"),
        ("modules", "zeros_like(a), output)", "ones_like(a), output)"),
        ("modules", "zeros_like(a), output)", "asarray(a), output)"),
        ("modules", "    _same_kind(name, given, output", "    (name, given, output"),
        ("modules", '    _checks.shape(name, given, output.shape, "(the output\'s)")\n', ""),
        ("modules", "    _checks.floating(array_namespace(given), name, given)\n", ""),
        ("modules", "if x.ndim != axes:", "if False:"),
        ("modules", "    _checks.floating(array_namespace(x), name, x)\n", ""),
    ],
    "recurrent/masks.py": [
        (
            "masked rewards",
            "super().reinforce(self._unmasked(reward))",
            "super().reinforce(reward)",
        ),
        ("masked rewards", "_reinforce_step(self._unmasked(reward))", "_reinforce_step(reward)"),
        ("masked rewards", "if inside.runs_sequences:", "if False:"),
        ("masks", "x == 0, (x", "x != 0, (x"),
        ("masks", "xp.all(xp.reshape", "xp.any(xp.reshape"),
        (
            "masks",
            'return _hidden(self.children["module"].forward(input), masked), masked',
            'return self.children["module"].forward(input), masked',
        ),
        ("masks", ".backward(_hidden(d_output, masked))", ".backward(d_output)"),
        ("masks", "xp.zeros_like(a), a)", "a, xp.zeros_like(a))"),
        ("masks", "xp.zeros_like(a), a)", "xp.ones_like(a), a)"),
        ("masks", "x = first(input)", "x = input[1]"),
        ("masks", "if inside.step_clone() is inside:", "if False:"),
    ],
    "recurrent/recurrence.py": [
        ("recurrence", "xp.zeros((*rows", "xp.ones((*rows"),
        ("recurrence", "if self.start is None:", "if True:"),
        ("starts", '(*rows, *size), "(one', '(state.shape[0], *size), "(one'),
        (
            "starts",
            '                check_input(name, state, 1 + len(size), "(N, *size)", like)\n',
            "",
        ),
        (
            "starts",
            ('_checks.shape("output of module", y, (y.shape[0], *self.size), "(N, *output_size)")'),
            "pass",
        ),
        (
            "sequencer",
            'Sequential(self.children["module"].step_clone())',
            'Sequential(self.children["module"].shared_clone())',
        ),
        (
            "recurrence",
            'y = self.children["module"].forward(pair)',
            'y = self.children["module"].forward([pair[0], 0 * pair[1]])',
        ),
        (
            "recurrence",
            'y = self.children["module"].forward(pair)',
            'y = self.children["module"].forward(pair[::-1])',
        ),
        (
            "recurrence",
            'return self.children["module"].backward(dy)',
            'return self.children["module"].backward(dy)[::-1]',
        ),
        (
            "recurrence",
            'return self.children["module"].backward(dy)',
            'return self.children["module"].backward(2 * dy)',
        ),
        ("starts", 'raise TypeError("mask_zero', '("mask_zero'),
    ],
    "recurrent/gated.py": [
        ("gated", 'd_x = grads.pop("x")', 'd_x = 0 * grads.pop("x")'),
        ("gated", "        self._add(**grads)\n", ""),
        (
            "gated",
            "        self._add(**grads)\n",
            "        self._add(**{k: -g for k, g in grads.items()})\n",
        ),
        ("gated", "zeros_like(d_y)", "ones_like(d_y)"),
        ("gated", "(nothing, (d_y, *d_rest)", "(d_y, (d_y, *d_rest)"),
        ("gated", "return d_x, list(d_before) if", "return d_x, list(d_before)[::-1] if"),
        ("gated", "state = list(after) if", "state = list(after)[::-1] if"),
        ("gated", "before = tuple(before) if", "before = tuple(before)[::-1] if"),
        (
            "gated",
            "        return state[0] if self.parts > 1 else state",
            "        return state[1] if self.parts > 1 else state",
        ),
        ("gated", "return [d_output, None] if", "return [None, d_output] if"),
        ("gated", "return [d_output, None] if", "return [d_output, d_output] if"),
        ("starts", "    peephole = True\n", "    peephole = False\n"),
        ("gated", "(GRUSequence if self.reset_after", "(GRUSequence if not self.reset_after"),
        ("starts", "reset_after=False,", "reset_after=True,"),
        ("starts", "bound=H**-0.5)", "bound=H**-1.0)"),
        ("starts", "shapes, H**-0.5", "shapes, H**-1.0"),
    ],
    "recurrent/sequencer.py": [
        ("sequencer", "        for d in d_outputs[::-1]:", "        for d in d_outputs:"),
        ("sequencer", "if self._stepper.train and rho < T:", "if False:"),
        (
            "repeater",
            "return list(self._stepper.grad_inputs)",
            "return list(self._stepper.grad_inputs[::-1])[:1]",
        ),
        (
            "sequencer",
            "return list(self._stepper.grad_inputs)",
            "return list(self._stepper.grad_inputs[::-1])",
        ),
        (
            "modes",
            "isinstance(module, AbstractRecurrent) else Recursor(module)",
            "isinstance(module, AbstractRecurrent) else Recursor(module.shared_clone())",
        ),
        (
            "rewards",
            "self._stepper.reinforce(reward)",
            "self._stepper.reinforce(2 * reward if isinstance(reward, float) else reward)",
        ),
        (
            "modes",
            ("return self.shared_clone()\n\n    def _switch(self, train):\n        if"),
            ("return self\n\n    def _switch(self, train):\n        if"),
        ),
        (
            "remember",
            ('if train != self.train and self.when != "neither":\n            self.forget()'),
            ("if False:\n            self.forget()"),
        ),
        ("modes", "        self._stepper._switch(train)\n", ""),
        ("modes", "            self._stepper.train = train", "            pass"),
        (
            "modes",
            ("        self._stepper.forget()\n        return super().forget()"),
            "        return super().forget()",
        ),
        ("remember", '("both", "train" if self.train else "eval")', '("both",)'),
        ("remember", '"train" if self.train else "eval"', '"eval" if self.train else "train"'),
        ("remember", "            self._stepper.detach()", "            pass"),
        ("remember", "            self._stepper.detach()", "            self._stepper.forget()"),
        (
            "sequencer",
            ("        else:\n            self._stepper.forget()\n        outputs"),
            "        outputs",
        ),
        (
            "sequencer",
            "self._run(inputs[t] for t in range(T))",
            "self._run(inputs[T - 1 - t] for t in range(T))",
        ),
        (
            "sequencer",
            (
                "        d_inputs = self._back([d_outputs[t] for t in range(len(d_outputs))])\n"
                "        return d_inputs if in_list"
            ),
            (
                "        d_inputs = self._back([d_outputs[0] for t in range(len(d_outputs))])\n"
                "        return d_inputs if in_list"
            ),
        ),
        (
            "sequencer",
            (
                "        d_inputs = self._back([d_outputs[t] for t in range(len(d_outputs))])\n"
                "        return d_inputs if in_list else"
            ),
            (
                "        d_inputs = self._back([d_outputs[t] for t in range(len(d_outputs))])\n"
                "        return"
            ),
        ),
        ("remember", 'self.when = _checks.one_of("when", when, _WHEN)', "self.when = when"),
        (
            "repeater",
            ("        self._stepper.forget()\n        return stacked"),
            ("        self._stepper.detach()\n        return stacked"),
        ),
        ("repeater", "total = added(total, d_x)", "total = d_x"),
        (
            "repeater",
            "[d_outputs[t] for t in range(self.rho)]",
            "[d_outputs[0] for t in range(self.rho)]",
        ),
        ("both ways", "copy.deepcopy(forward, memo).reset(rng)", "copy.deepcopy(forward, memo)"),
        ("both ways", "            backward.zero_grad_parameters()\n", ""),
        (
            "both ways",
            'ways["backward"].forward(steps[::-1])[::-1]',
            'ways["backward"].forward(steps[::-1])',
        ),
        (
            "both ways",
            'ways["backward"].forward(steps[::-1])[::-1]',
            'ways["backward"].forward(steps)',
        ),
        ("both ways", "zip(there, back, strict", "zip(back, there, strict"),
        ("both ways", "d_there, d_back = zip", "d_back, d_there = zip"),
        ("both ways", "backward(list(d_back[::-1]))[::-1]", "backward(list(d_back[::-1]))"),
        ("both ways", "backward(list(d_back[::-1]))[::-1]", "backward(list(d_back))[::-1]"),
        ("both ways", "[added(a, b) for a, b in zip(*parts", "[a for a, b in zip(*parts"),
        ("both ways", "turned = reward[::-1]", "turned = reward"),
        ("both ways", "JoinTable() if merge", "JoinTable(0) if merge"),
        ("modes", "            way._switch(train)", "            pass"),
        ("modes", "            way.forget()", "            pass"),
        ("modes", "if not len(inputs):", "if False:"),
        (
            "modes",
            (
                "    def step_clone(self):\n"
                "        return self.shared_clone()\n"
                "\n"
                "    def _switch(self, train):\n"
                "        for way"
            ),
            (
                "    def step_clone(self):\n"
                "        return self\n"
                "\n"
                "    def _switch(self, train):\n"
                "        for way"
            ),
        ),
    ],
}
