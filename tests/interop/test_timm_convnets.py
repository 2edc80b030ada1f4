"""timm's networks seen through a mask: the same weights, nothing hidden read, nothing computed elsewhere."""

import pytest
import torch

from unmask.core import Context, Mask
from unmask.interop.timm_convnets import TimmConvNet
from unmask.methods.spark import SparK
from unmask.parts.masks.random import random_mask
from unmask.parts.nets.convnet import ConvNet
from unmask.parts.nets.resnet import ResNet
from unmask.parts.nets.unet_decoder import UNetDecoder

timm = pytest.importorskip("timm")
NAMES = ["resnet10t", "seresnet18", "convnext_femto", "convnextv2_atto", "test_convnext3", "mobilenetv3_small_050"]


@pytest.fixture(params=NAMES)
def encoder(request):
    torch.manual_seed(0)
    return ConvNet(TimmConvNet(request.param), image_size=96)


def pictures(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_hidden_pixels_do_not_reach_any_stage_and_nothing_is_computed_there(encoder):
    image = pictures(2, 3, 96, 64)
    mask = random_mask(torch.rand(2, 6, generator=torch.Generator().manual_seed(1)), 0.5)
    active = encoder.active(image, mask)
    changed = torch.where(active.pixels.unsqueeze(1), image, 7.0)
    with torch.no_grad():
        encoder(image, active)
        for stage, other in zip(encoder(image, active), encoder(changed, active), strict=True):
            assert stage.ne(0).any()
            assert torch.equal(stage[~active.at(stage).expand_as(stage)].abs().sum(), torch.zeros(()))
            torch.testing.assert_close(stage, other, rtol=0, atol=1e-5)


def test_with_nothing_hidden_the_network_is_timm_s_own(encoder):
    encoder.eval()
    image = pictures(2, 3, 96, 96)
    with torch.no_grad():
        dense = encoder(image)
        for one, other in zip(dense, encoder(image, encoder.active(image, Mask.nothing(2, 9))), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def test_a_resnet_of_timm_masked_is_ours_masked_with_its_weights():
    torch.manual_seed(0)
    theirs = TimmConvNet("resnet18")
    ours = ResNet((64, 128, 256, 512), (2, 2, 2, 2))
    ours.load_state_dict({n: t for n, t in theirs.network.state_dict().items() if not n.startswith("fc")})
    image = pictures(2, 3, 64, 96)
    for network in (theirs, ours):
        network.eval()
    active = ConvNet(theirs, image_size=96).active(image, random_mask(torch.rand(2, 6), 0.5))
    with torch.no_grad():
        image = image * active.pixels.unsqueeze(1)
        for one, other in zip(theirs(image, active), ours(image, active), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_network_of_timm_trains_as_the_encoder_of_spark():
    torch.manual_seed(0)
    encoder = ConvNet(TimmConvNet("test_convnext3", channels=4), image_size=64, channels=4)
    method = SparK(encoder, UNetDecoder(encoder, width=32))
    loss = method.losses({"image": pictures(2, 4, 64, 64)}, Context(generator=torch.Generator().manual_seed(0)))
    loss["reconstruction"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())


def test_group_norms_are_refused():
    with pytest.raises(ValueError, match="group norms"):
        TimmConvNet("resnetv2_50d_gn")
