import torch
from hypothesis import given, strategies as st

from sc_mamba2.model import DomainNorm


def cells_and_domains(seed: int = 0, cells: int = 60, domains: int = 3):
    generator = torch.Generator().manual_seed(seed)
    domain_B = torch.arange(cells) % domains
    x_BE = torch.randn(cells, 4, generator=generator, dtype=torch.float64)
    return x_BE * (1 + domain_B[:, None]) + 5 * domain_B[:, None], domain_B


@given(st.integers(0, 20), st.integers(1, 4))
def test_in_training_every_domain_has_mean_zero_and_variance_one(seed, domains):
    x_BE, domain_B = cells_and_domains(seed, domains=domains)
    normed_BE = DomainNorm(4, domains).double()(x_BE, domain_B)
    for domain in range(domains):
        own = normed_BE[domain_B == domain]
        assert torch.allclose(own.mean(0), torch.zeros(4).double(), atol=1e-9)
        assert torch.allclose(own.var(0, unbiased=False), torch.ones(4).double(), atol=1e-4)


def test_one_domain_is_torchs_batch_norm_value_and_gradient_and_running_moments():
    x_BE, _ = cells_and_domains()
    plain = torch.nn.BatchNorm1d(4).double()
    ours = DomainNorm(4, 1).double()
    results = []
    for norm in (lambda x: plain(x), lambda x: ours(x, torch.zeros(60, dtype=torch.long))):
        x = x_BE.clone().requires_grad_()
        found = norm(x)
        (gradient,) = torch.autograd.grad(found.pow(3).sum(), x)
        results.append((found, gradient))
    assert torch.allclose(results[0][0], results[1][0], rtol=1e-10, atol=1e-10)
    assert torch.allclose(results[0][1], results[1][1], rtol=1e-7, atol=1e-8)
    assert torch.allclose(plain.running_mean, ours.running_mean[0], rtol=1e-6)
    assert torch.allclose(plain.running_var, ours.running_var[0], rtol=1e-6)


def test_in_evaluation_a_cell_does_not_depend_on_the_others():
    x_BE, domain_B = cells_and_domains()
    norm = DomainNorm(4, 3).double()
    norm(x_BE, domain_B)
    norm.eval()
    together = norm(x_BE, domain_B)
    assert torch.equal(norm(x_BE[7:8], domain_B[7:8])[0], together[7])


def test_a_lone_cell_of_a_domain_takes_the_running_moments():
    x_BE, domain_B = cells_and_domains()
    norm = DomainNorm(4, 3).double()
    norm.start(x_BE, domain_B)
    before = norm.running_mean[2].clone()
    kept = torch.cat([torch.arange(60)[domain_B < 2], torch.tensor([2])])
    found = norm(x_BE[kept], domain_B[kept])
    expected = norm.eval()(x_BE[2:3], domain_B[2:3])
    assert torch.allclose(found[-1], expected[0], rtol=1e-5)
    assert torch.equal(norm.running_mean[2], before)


def test_the_start_is_the_moments_of_the_cells():
    x_BE, domain_B = cells_and_domains()
    norm = DomainNorm(4, 3).double()
    norm.start(x_BE, domain_B)
    assert torch.allclose(norm.running_mean[1], x_BE[domain_B == 1].mean(0), rtol=1e-6)
    assert torch.allclose(norm.running_var[1], x_BE[domain_B == 1].var(0), rtol=1e-6)


def test_a_shared_scale_is_the_variance_within_the_domains():
    x_BE, domain_B = cells_and_domains()
    norm = DomainNorm(4, 3, shared_scale=True).double()
    norm.start(x_BE, domain_B)
    own = [x_BE[domain_B == domain] for domain in range(3)]
    expected = sum(part.var(dim=0) * len(part) for part in own) / 60
    for domain in range(3):
        assert torch.allclose(norm.running_var[domain], expected)
        assert torch.allclose(norm.running_mean[domain], own[domain].mean(dim=0))
    normed_BE = DomainNorm(4, 3, shared_scale=True).double()(x_BE, domain_B)
    spread = [normed_BE[domain_B == domain].var(0, unbiased=False) for domain in range(3)]
    assert (spread[0] < spread[1]).all() and (spread[1] < spread[2]).all()
