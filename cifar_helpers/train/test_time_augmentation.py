"""Test-time augmentation: a network's outputs averaged over six versions of each image."""

from torch import Tensor, nn
from torch.nn import functional


class TestTimeAugmentation(nn.Module):
    """The mean score over the image and its mirror image, in place (half the weight) and moved by one pixel up and
    left or down and right (a quarter each), as in arXiv 2404.00498. Images (B, 3, 32, 32) to scores (B, classes).
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        side = images.shape[-1]
        padded = functional.pad(images, (1, 1, 1, 1), mode="reflect")
        total = images.new_zeros(())
        for start, weight in ((1, 0.5), (0, 0.25), (2, 0.25)):
            view = padded[:, :, start : start + side, start : start + side]
            total = total + weight / 2 * (self.model(view).float() + self.model(view.flip(-1)).float())
        return total
