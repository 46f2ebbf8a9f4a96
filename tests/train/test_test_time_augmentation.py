import torch
from torch import nn

from cifar_helpers.train.test_time_augmentation import TestTimeAugmentation


class Corner(nn.Module):
    """The value of one pixel: which pixels the views bring there is known."""

    def forward(self, images):
        return images[:, :1, 3, 3]


def test_views_are_the_weighted_pixels_of_six_images():
    images = torch.arange(64.0).view(1, 1, 8, 8).repeat(2, 3, 1, 1)

    def pixel(row, column):
        return images[0, 0, row, column]

    expected = (
        0.25 * (pixel(3, 3) + pixel(3, 4)) + 0.125 * (pixel(2, 2) + pixel(2, 3)) + 0.125 * (pixel(4, 4) + pixel(4, 5))
    )
    torch.testing.assert_close(TestTimeAugmentation(Corner())(images), expected.expand(2, 1))


def test_a_network_that_sees_only_the_mean_gains_nothing():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))
    images = torch.ones(2, 3, 32, 32) * torch.randn(2, 3, 1, 1)
    torch.testing.assert_close(TestTimeAugmentation(network)(images), network(images))
