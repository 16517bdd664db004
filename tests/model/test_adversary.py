import pytest
import torch
from torch.nn import functional as F

from sc_mamba2.model import BatchDiscriminator, reverse_gradient


@pytest.mark.parametrize("strength", [0.0, 1.0, 2.5])
def test_the_value_passes_and_the_gradient_is_turned(strength):
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, dtype=torch.float64)
    turned = reverse_gradient(x, strength)
    assert torch.equal(turned, x)
    (straight,) = torch.autograd.grad((x @ weight).sin().sum(), x)
    (back,) = torch.autograd.grad((turned @ weight).sin().sum(), x)
    assert torch.allclose(back, -strength * straight, rtol=1e-12, atol=0)


def test_gradcheck_holds_for_the_negative_function_and_not_for_the_identity():
    """Numbers see the identity; the gradient given is that of ``-x``: gradcheck tells them apart."""
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: reverse_gradient(reverse_gradient(v)), x)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(reverse_gradient, x)


def test_the_discriminator_descends_where_the_cells_ascend():
    torch.manual_seed(0)
    head = BatchDiscriminator(cell_width=4, n_batches=2, hidden=8)
    cells = torch.randn(20, 4, requires_grad=True)
    batches = torch.arange(20) % 2

    def loss(x):
        return F.cross_entropy(head(x), batches)

    before = loss(cells)
    before.backward()
    with torch.no_grad():
        assert loss(cells - 0.5 * cells.grad) > before
        for weight in head.parameters():
            weight -= 0.05 * weight.grad
        assert loss(cells) < before
